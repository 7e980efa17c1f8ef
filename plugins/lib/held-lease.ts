/** Leases as their holder has them: when they are valid, by the one rule of the contract, whatever has given them. */
import type { FencingToken, Lease } from 'millrace'

/** What is known of one holding of a name. All {@link Lease} objects of it share this. */
export class Holding {
  readonly token: FencingToken
  #until = Number.NEGATIVE_INFINITY
  #over = false

  constructor(token: FencingToken) {
    this.token = token
  }

  /** For good. */
  get over(): boolean {
    return this.#over
  }

  /**
   * A write for `ttlMs` was acknowledged that was sent at `sentAt`, or later. Less 1 % and 2 ms: for clocks that run at different
   * rates.
   */
  extend(sentAt: number, ttlMs: number): void {
    this.#until = Math.max(this.#until, sentAt + ttlMs * 0.99 - 2)
  }

  end(): void {
    this.#over = true
  }

  remainingMs(now: number): number {
    return this.#over ? 0 : Math.max(0, this.#until - now)
  }
}

/** What one instance holds, by name, so that a lease that is taken again is the same one. */
export class Holdings {
  readonly #byName = new Map<string, Holding>()

  /** The token of a holding of this name that is over here: it must not come back, as its release may still arrive. */
  givenBack(name: string): number | undefined {
    const holding = this.#byName.get(name)
    return holding?.over ? holding.token.number : undefined
  }

  /** The holding with this token; a new one where it is not known, or over. */
  take(name: string, token: FencingToken, now: number): Holding {
    const known = this.#byName.get(name)
    if (known && !known.over && known.token.number === token.number && known.token.lineage === token.lineage)
      return known
    // What has lapsed long ago is of no use to anybody.
    if (this.#byName.size >= 1000)
      for (const [other, holding] of this.#byName)
        if (holding.remainingMs(now) === 0) this.#byName.delete(other)
    const holding = new Holding(token)
    this.#byName.set(name, holding)
    return holding
  }
}

/** What is done for it where it is kept. Both may reject. */
export interface LeaseCalls {
  /** A write. False: lost. A number: extended, and it was sent at this `clock.now()`, which may be later than the call. */
  renew(): Promise<boolean | number>
  release(): Promise<void>
}

export interface LeaseTerms {
  readonly name: string
  readonly holder: string
  readonly token: FencingToken
  readonly ttlMs: number
}

export class HeldLease implements Lease {
  readonly name: string
  readonly holder: string
  readonly token: FencingToken
  readonly ttlMs: number
  readonly #clock: { now(): number }
  readonly #calls: LeaseCalls
  readonly #signal: AbortSignal
  readonly #holding: Holding

  /**
   * @param sent `clock.now()` from before the write that took it was sent
   * @param signal fires when the store stops: nobody may act on it then
   * @param holding shared with other objects of the same lease; default: there is none
   */
  constructor(
    { name, holder, token, ttlMs }: LeaseTerms,
    clock: { now(): number },
    sent: number,
    calls: LeaseCalls,
    signal: AbortSignal,
    holding = new Holding(token),
  ) {
    this.name = name
    this.holder = holder
    this.token = token
    this.ttlMs = ttlMs
    this.#clock = clock
    this.#calls = calls
    this.#signal = signal
    this.#holding = holding
    holding.extend(sent, ttlMs)
  }

  valid(): boolean {
    return this.remainingMs() > 0
  }

  remainingMs(): number {
    return this.#signal.aborted ? 0 : this.#holding.remainingMs(this.#clock.now())
  }

  async renew(): Promise<boolean> {
    if (this.#over) return false
    const called = this.#clock.now()
    const kept = await this.#calls.renew()
    if (kept === false) this.#holding.end()
    // Lost, released, or the store stopped, while the answer was on its way.
    if (this.#over) return false
    this.#holding.extend(typeof kept === 'number' ? kept : called, this.ttlMs)
    return true
  }

  async release(): Promise<void> {
    if (this.#over) return
    this.#holding.end()
    try {
      await this.#calls.release()
    } catch {
      // It lapses by itself.
    }
  }

  get #over(): boolean {
    return this.#holding.over || this.#signal.aborted
  }
}
