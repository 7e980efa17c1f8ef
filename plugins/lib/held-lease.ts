/** A lease as its holder has it: when it is valid, counted by the contract's rule, whatever the store is. */
import type { FencingToken, Lease } from 'millrace'

/** What the store does for it. Both may reject. */
export interface LeaseCalls {
  /** A write; false: lost. */
  renew(): Promise<boolean>
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
  /** Monotonic; -Infinity: over for good. */
  #until: number

  /**
   * @param sent `clock.now()` from before the write that took it was sent
   * @param signal fires when the store stops: nobody may act on it then
   */
  constructor(
    { name, holder, token, ttlMs }: LeaseTerms,
    clock: { now(): number },
    sent: number,
    calls: LeaseCalls,
    signal: AbortSignal,
  ) {
    this.name = name
    this.holder = holder
    this.token = token
    this.ttlMs = ttlMs
    this.#clock = clock
    this.#calls = calls
    this.#signal = signal
    this.#until = this.#from(sent)
  }

  valid(): boolean {
    return this.remainingMs() > 0
  }

  remainingMs(): number {
    return this.#over ? 0 : Math.max(0, this.#until - this.#clock.now())
  }

  async renew(): Promise<boolean> {
    if (this.#over) return false
    const sent = this.#clock.now()
    const kept = await this.#calls.renew()
    if (!kept) this.#end()
    // Lost, released, or the store stopped, while the answer was on its way.
    if (this.#over) return false
    this.#until = Math.max(this.#until, this.#from(sent))
    return true
  }

  async release(): Promise<void> {
    if (this.#over) return
    this.#end()
    try {
      await this.#calls.release()
    } catch {
      // It lapses by itself.
    }
  }

  get #over(): boolean {
    return this.#until === Number.NEGATIVE_INFINITY || this.#signal.aborted
  }

  /** Less 1 % and 2 ms: for clocks that run at different rates. */
  #from(sent: number): number {
    return sent + this.ttlMs * 0.99 - 2
  }

  #end(): void {
    this.#until = Number.NEGATIVE_INFINITY
  }
}
