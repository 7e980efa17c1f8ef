/** What one plugin instance holds on to: its signal, timers and releases, each fault attributed to it. */
import { resolve } from 'node:path'
import type { Clock, Log, PluginContext, Timer } from '../contracts/plugin.ts'
import type { RawClock } from './clock.ts'
import { type ErrorCode, MillraceError } from './errors.ts'

/** Each release may take this long. */
const releaseTimeoutMs = 5_000

interface ScopeDeps {
  readonly id: string
  readonly path?: string
  readonly directory?: string
  readonly trial?: boolean
  readonly clock: RawClock
  random(): number
  readonly log: Log
  readonly metrics: PluginContext['metrics']
  onFault?(error: MillraceError): void
}

type Release = () => void | PromiseLike<void>

export class InstanceScope {
  readonly context: PluginContext
  readonly #kind: string
  readonly #plugin: string
  readonly #deps: ScopeDeps
  readonly #log: Log
  readonly #abort = new AbortController()
  readonly #timers = new Set<Timer>()
  readonly #releases: Release[] = []
  #stopped: Promise<void> | undefined
  #released = false

  constructor(kind: string, plugin: string, deps: ScopeDeps) {
    this.#kind = kind
    this.#plugin = plugin
    this.#deps = deps
    this.#log = attributed(deps.log, { kind, plugin, use: deps.id })
    this.context = {
      id: deps.id,
      log: this.#log,
      clock: this.#clock(),
      random: () => deps.random(),
      metrics: deps.metrics,
      signal: this.#abort.signal,
      resolvePath: (path) => resolve(deps.directory ?? '', path),
      trial: deps.trial === true,
      defer: (release) => this.#defer(release),
    }
  }

  /** An error that says which plugin, use and hook. */
  error(code: ErrorCode, what: string, hook: string, cause?: unknown): MillraceError {
    return new MillraceError(
      code,
      `The ${this.#kind} "${this.#plugin}" (${this.#deps.id}): ${hook} ${what}`,
      {
        plugin: this.#plugin,
        hook,
        path: this.#deps.path,
        cause,
      },
    )
  }

  /** Aborts the signal, cancels timers, runs the releases in reverse order. Never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#cancelTimers()
    this.#abort.abort()
    for (let release = this.#releases.pop(); release; release = this.#releases.pop())
      await this.#release(release)
    this.#released = true
    // A release may have used timers to wait; what it left behind ends here.
    this.#cancelTimers()
  }

  async #release(release: Release): Promise<void> {
    try {
      await within(this.#deps.clock, releaseTimeoutMs, release)
    } catch (error) {
      if (error instanceof LateError) {
        this.#fault(
          this.error('MR_PLUGIN_TIMEOUT', `did not finish in ${releaseTimeoutMs / 1000} s`, 'release'),
        )
      } else this.#fault(this.error('MR_PLUGIN_RELEASE', `threw: ${describeError(error)}`, 'release', error))
    }
  }

  #defer(release: Release): void {
    if (this.#released) {
      // `create` went on after its time was over: what it opens now is closed at once.
      void this.#release(release)
    } else this.#releases.push(release)
  }

  #cancelTimers(): void {
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  #clock(): Clock {
    const raw = this.#deps.clock
    return {
      now: () => raw.now(),
      wall: () => raw.wall(),
      after: (ms, run) => {
        const timer = this.#timer(
          raw.after(ms, () => {
            this.#timers.delete(timer)
            this.#run(run)
          }),
        )
        return timer
      },
      every: (ms, run) => this.#timer(raw.every(ms, () => this.#run(run))),
    }
  }

  #timer(raw: Timer): Timer {
    const timer = {
      cancel: () => {
        this.#timers.delete(timer)
        raw.cancel()
      },
    }
    if (this.#released) raw.cancel()
    else this.#timers.add(timer)
    return timer
  }

  #run(run: () => unknown): void {
    const failed = (error: unknown): void =>
      this.#fault(this.error('MR_PLUGIN_FAULT', `threw: ${describeError(error)}`, 'timer', error))
    try {
      const result = run()
      if (isThenable(result)) result.then(undefined, failed)
    } catch (error) {
      failed(error)
    }
  }

  #fault(error: MillraceError): void {
    const stack = error.cause instanceof Error ? error.cause.stack : undefined
    this.#log.error(error.message, { code: error.code, hook: error.hook, stack })
    this.#deps.onFault?.(error)
  }
}

/** Work that {@link within} gave up. */
export class LateError extends Error {}

/** Runs `work` for at most `ms`; then rejects with {@link LateError}, and what the work does later is ignored. */
export async function within<T>(clock: RawClock, ms: number, work: () => T | PromiseLike<T>): Promise<T> {
  const result = work()
  if (!isThenable(result)) return result as T
  let timer: Timer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = clock.after(ms, () => reject(new LateError(`not done in ${ms} ms`)))
  })
  try {
    return await Promise.race([result, late])
  } finally {
    timer?.cancel()
  }
}

/** What was thrown, in one line. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}

function attributed(log: Log, who: Record<string, unknown>): Log {
  return {
    debug: (message, fields) => log.debug(message, { ...who, ...fields }),
    info: (message, fields) => log.info(message, { ...who, ...fields }),
    warn: (message, fields) => log.warn(message, { ...who, ...fields }),
    error: (message, fields) => log.error(message, { ...who, ...fields }),
  }
}
