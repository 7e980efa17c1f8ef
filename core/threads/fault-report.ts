/**
 * Faults of plugins, as a data thread tells of them: each counts; of those that come in numbers only the first are logged,
 * for a filter that fails each request would bury the main thread under its lines.
 */
import type { Clock, Log, PluginKind, Timer } from '../contracts/plugin.ts'
import { FaultLines } from './fault-lines.ts'
import type { FromThread } from './messages.ts'

const batchMs = 100

/** Something that a plugin did wrong. */
export interface PluginFault {
  readonly kind: PluginKind
  readonly plugin: string
  readonly hook: string
  /** `logged`: the line has been written already. */
  readonly level: 'warn' | 'error' | 'logged'
  /** The line of the log. */
  readonly message: string
  readonly fields: Record<string, unknown>
}

/** Faults of one plugin since the last message. */
export interface FaultCount {
  readonly kind: PluginKind
  readonly plugin: string
  readonly count: number
  /** The last of them. */
  readonly hook: string
  readonly message: string
}

export interface FaultReportDeps {
  readonly clock: Clock
  readonly log: Log
  post(message: FromThread): void
}

export class FaultReport {
  readonly #deps: FaultReportDeps
  readonly #lines: FaultLines
  #counts = new Map<string, FaultCount>()
  #batch: Timer | undefined

  constructor(deps: FaultReportDeps) {
    this.#deps = deps
    this.#lines = new FaultLines(deps.clock, deps.log)
  }

  add(fault: PluginFault): void {
    this.#count(fault)
    if (fault.level === 'logged') return
    const of = `${fault.kind} ${fault.plugin} in ${fault.hook}`
    this.#lines.write(of, fault.level, fault.message, fault.fields)
  }

  /** Sends what has been counted. */
  flush(): void {
    this.#batch?.cancel()
    this.#batch = undefined
    if (this.#counts.size === 0) return
    this.#deps.post({ type: 'faults', faults: [...this.#counts.values()] })
    this.#counts = new Map()
  }

  #count({ kind, plugin, hook, fields }: PluginFault): void {
    const key = `${kind} ${plugin}`
    const count = (this.#counts.get(key)?.count ?? 0) + 1
    const cause = String(fields.cause ?? '').split('\n')[0]
    this.#counts.set(key, { kind, plugin, count, hook, message: cause })
    this.#batch ??= this.#deps.clock.after(batchMs, () => this.flush())
  }
}
