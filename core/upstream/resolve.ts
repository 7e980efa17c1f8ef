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
  /** Not an address, and not the empty host of a unix socket. */
  readonly #isName: boolean
  #addresses: readonly string[]
  #next = 0
  #first: Promise<void> | undefined
  /** Set between `follow` and `stop`: only then a timer runs. */
  #following = false
  #looking = false
  #timer: Timer | undefined
  /** Why the last look-up failed; the addresses found before it are kept. */
  error: Error | undefined

  constructor(name: string, clock: Clock, lookup: Lookup) {
    this.#name = name
    this.#lookup = lookup
    this.#clock = clock
    this.#isName = name !== '' && net.isIP(name) === 0
    this.#addresses = this.#isName ? [] : [name]
    if (!this.#isName) this.#first = Promise.resolve()
  }

  /** A name that has not been looked up yet, or not been found. */
  get awaited(): boolean {
    return this.#addresses.length === 0
  }

  /** The first look-up of a name, made once; leaves no timer. Never rejects: see `error`. */
  start(): Promise<void> {
    this.#first ??= this.#look()
    return this.#first
  }

  /** From now on a name is looked up again and again, until `stop`. */
  follow(): void {
    if (this.#following || !this.#isName) return
    this.#following = true
    if (!this.#looking) this.#again()
  }

  async #look(): Promise<void> {
    this.#looking = true
    try {
      const found = await this.#lookup(this.#name)
      if (found.length > 0) this.#addresses = found
      this.error = undefined
    } catch (error) {
      this.error = error as Error
    }
    this.#looking = false
    if (this.#following) this.#again()
  }

  #again(): void {
    this.#timer = this.#clock.after(this.error ? retryMs : refreshMs, () => void this.#look())
  }

  /** The next address to connect to; undefined when the name has none. */
  take(): string | undefined {
    if (this.#addresses.length === 0) return undefined
    this.#next = (this.#next + 1) % this.#addresses.length
    return this.#addresses[this.#next]
  }

  stop(): void {
    this.#following = false
    this.#timer?.cancel()
  }
}
