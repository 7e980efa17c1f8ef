/** A lock that is kept: a lease, renewed by itself until it is released or lost. */
import { type Clock, type FencingToken, type Lease, type Lock, MillraceError, type Timer } from 'millrace'

/** Shares of the time to live: between renewals, and after one of which nobody knows whether it was done. */
const renewShare = 1 / 3
const retryShare = 1 / 12

export class KeptLock implements Lock {
  readonly name: string
  readonly token: FencingToken
  readonly #lease: Lease
  readonly #clock: Pick<Clock, 'after'>
  readonly #ended: (lock: KeptLock) => void
  readonly #lost = new AbortController()
  /** Nobody may act on it any more. */
  #over = false
  /** And whoever held it has been told. */
  #closed = false
  #renewal: Timer | undefined
  #lapse: Timer | undefined
  #release: Promise<void> | undefined

  /** @param ended called once, when it is released or lost */
  constructor(name: string, lease: Lease, clock: Pick<Clock, 'after'>, ended: (lock: KeptLock) => void) {
    this.name = name
    this.token = lease.token
    this.#lease = lease
    this.#clock = clock
    this.#ended = ended
    this.#plan(renewShare)
    this.#watch()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  valid(): boolean {
    return this.remainingMs() > 0
  }

  remainingMs(): number {
    if (this.#over) return 0
    const ms = this.#lease.remainingMs()
    // Once is for good: another may have had it meanwhile, though a renewal that is under way should still come through.
    if (ms <= 0) this.#over = true
    return ms
  }

  release(): Promise<void> {
    this.#close()
    this.#release ??= this.#lease.release()
    return this.#release
  }

  /** Ends it, whatever its holder does. Settles when it is free, or as free as it can be made. */
  lose(why: string): Promise<void> {
    if (!this.#closed) {
      this.#close()
      // What the servers still keep of it would only hold up the next one.
      this.#release = this.#lease.release()
      this.#lost.abort(new MillraceError('MR_FENCED', `the lock ${this.name} is lost: ${why}`))
    }
    return this.#release ?? Promise.resolve()
  }

  #close(): void {
    this.#over = true
    if (this.#closed) return
    this.#closed = true
    this.#renewal?.cancel()
    this.#lapse?.cancel()
    this.#ended(this)
  }

  #plan(share: number): void {
    this.#renewal = this.#clock.after(this.#lease.ttlMs * share, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    try {
      const kept = await this.#lease.renew()
      if (this.#closed) return
      if (!kept) void this.lose('it was not renewed: another has it, or nobody')
      else if (this.#over) void this.lose('it was renewed too late')
      else {
        this.#watch()
        this.#plan(renewShare)
      }
    } catch {
      // Nobody knows; until its time is over it is asked again.
      if (!this.#closed) this.#plan(retryShare)
    }
  }

  #watch(): void {
    this.#lapse?.cancel()
    this.#lapse = this.#clock.after(this.#lease.remainingMs(), () => {
      if (this.remainingMs() > 0) this.#watch()
      else void this.lose('its time is over, and it could not be renewed')
    })
  }
}
