/** Lines about faults of plugins: of those that come in numbers only the first of a second are written, then how many are missing. */
import type { Clock, Log, Timer } from '../contracts/plugin.ts'

/** Lines of one hook of a plugin, per second. */
const linesPerSecond = 20

export class FaultLines {
  readonly #clock: Pick<Clock, 'after'>
  readonly #log: Log
  #lines = new Map<string, number>()
  #second: Timer | undefined

  constructor(clock: Pick<Clock, 'after'>, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** @param of whose lines are counted together: plugin and hook */
  write(of: string, level: 'warn' | 'error', message: string, fields: Record<string, unknown>): void {
    const lines = (this.#lines.get(of) ?? 0) + 1
    this.#lines.set(of, lines)
    if (this.#second === undefined) this.#second = this.#clock.after(1000, () => this.#tellLeftOut())
    if (lines <= linesPerSecond) this.#log[level](message, fields)
  }

  /** What was left out is told now. */
  stop(): void {
    this.#second?.cancel()
    this.#tellLeftOut()
  }

  #tellLeftOut(): void {
    this.#second = undefined
    const lines = this.#lines
    this.#lines = new Map()
    for (const [of, count] of lines) {
      if (count <= linesPerSecond) continue
      const message = `${count - linesPerSecond} more faults of ${of} within this second are not logged`
      this.#log.warn(message, { code: 'MR_PLUGIN_FAULT' })
    }
  }
}
