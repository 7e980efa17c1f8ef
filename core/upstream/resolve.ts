/** Names of backends, resolved beside the request path and again every 30 s; all addresses are used in turn. */
import { promises as dns } from 'node:dns'
import net from 'node:net'
import type { Clock, Timer } from '../contracts/plugin.ts'

/** Looks a name up; addresses in the resolver's order. Injected, so that tests need no name server. */
export type Lookup = (name: string) => Promise<readonly string[]>

/** getaddrinfo, which also knows the hosts file; it does not tell TTLs, hence the fixed interval. */
export const systemLookup: Lookup = async (name) => {
  const found = await dns.lookup(name, { all: true, order: 'verbatim' })
  return found.map((entry) => entry.address)
}

const refreshMs = 30_000
const retryMs = 1_000

export class AddressBook {
  readonly #name: string
  readonly #lookup: Lookup
  readonly #clock: Clock
  #addresses: readonly string[]
  #next = 0
  #timer: Timer | undefined
  #stopped = false
  /** Why the last look-up failed; the addresses found before it are kept. */
  error: Error | undefined

  constructor(name: string, clock: Clock, lookup: Lookup) {
    this.#name = name
    this.#clock = clock
    this.#lookup = lookup
    this.#addresses = name === '' || net.isIP(name) ? [name] : []
  }

  /** Resolves a name for the first time; at once where it is an address. Never rejects: see `error`. */
  async start(): Promise<void> {
    if (this.#addresses.length > 0) return
    await this.#refresh()
  }

  async #refresh(): Promise<void> {
    try {
      const found = await this.#lookup(this.#name)
      if (found.length > 0) this.#addresses = found
      this.error = undefined
    } catch (error) {
      this.error = error as Error
    }
    if (this.#stopped) return
    const wait = this.error ? retryMs : refreshMs
    this.#timer = this.#clock.after(wait, () => void this.#refresh())
  }

  /** The next address to connect to; undefined when the name has none. */
  take(): string | undefined {
    if (this.#addresses.length === 0) return undefined
    this.#next = (this.#next + 1) % this.#addresses.length
    return this.#addresses[this.#next]
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}
