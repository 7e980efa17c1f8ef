/** Whether a Redis server keeps what it has acknowledged, as far as it says so itself. */
import type { Log } from 'millrace'
import type { ServerInfo } from './redis-link.ts'

/** Says each thing once, however often the connection is made. */
export class DurabilityWatch {
  readonly #log: Log
  readonly #place: string
  readonly #said = new Set<string>()

  constructor(log: Log, place: string) {
    this.#log = log
    this.#place = place
  }

  look(info: ServerInfo): void {
    // INFO tells what CONFIG GET would, and is allowed to more users.
    if (info.size === 0)
      this.#warn(
        'may not be asked (INFO) whether it keeps what is written: see that AOF is on and eviction off',
      )
    if (info.get('aof_enabled') === '0')
      this.#warn('has its append-only file off: a restart loses what was acknowledged. Set `appendonly yes`')
    const policy = info.get('maxmemory_policy')
    if (policy !== undefined && policy !== 'noeviction' && info.get('maxmemory') !== '0')
      this.#warn(
        `evicts keys (maxmemory-policy ${policy}): it may drop documents and leases. Set \`noeviction\``,
      )
  }

  #warn(what: string): void {
    if (this.#said.has(what)) return
    this.#said.add(what)
    this.#log.warn(`${this.#place} ${what}`)
  }
}
