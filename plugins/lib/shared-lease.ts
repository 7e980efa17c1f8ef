/** Leases as their holder sees them: validity by the holder's own clock, from before the last write that was acknowledged. */
import type { Clock, FencingToken, Lease } from 'millrace'

/** What is known of one holding of a name. All {@link Lease} objects of it share this. */
export class Holding {
  readonly token: FencingToken
  #until = Number.NEGATIVE_INFINITY
  #over = false

  constructor(token: FencingToken) {
    this.token = token
  }

  get over(): boolean {
    return this.#over
  }

  /** A write for `ttlMs` was acknowledged that was sent at `sentAt`. */
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

/** How a lease reaches the server. */
export interface LeaseCalls {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** @returns when it was sent; undefined: it is another's */
  renew(name: string, holder: string, ttlMs: number, token: number): Promise<number | undefined>
  release(name: string, holder: string, token: number): Promise<void>
}

export class SharedLease implements Lease {
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
  readonly #holding: Holding
  readonly #calls: LeaseCalls

  constructor(name: string, holder: string, ttlMs: number, holding: Holding, calls: LeaseCalls) {
    this.name = name
    this.holder = holder
    this.ttlMs = ttlMs
    this.#holding = holding
    this.#calls = calls
  }

  get token(): FencingToken {
    return this.#holding.token
  }

  valid(): boolean {
    return this.remainingMs() > 0
  }

  remainingMs(): number {
    return this.#calls.signal.aborted ? 0 : this.#holding.remainingMs(this.#calls.clock.now())
  }

  async renew(): Promise<boolean> {
    if (this.#holding.over) return false
    const sentAt = await this.#calls.renew(this.name, this.holder, this.ttlMs, this.token.number)
    if (sentAt === undefined) this.#holding.end()
    else this.#holding.extend(sentAt, this.ttlMs)
    return !this.#holding.over
  }

  async release(): Promise<void> {
    if (this.#holding.over) return
    this.#holding.end()
    // It lapses by itself where it cannot be given back.
    await this.#calls.release(this.name, this.holder, this.token.number).catch(() => {})
  }
}

/** What this instance holds, by name, so that a lease that is taken again is the same one. */
export class Holdings {
  readonly #byName = new Map<string, Holding>()

  /** The token of a holding of this name that is over here; it must not come back, as its release may still arrive. */
  givenBack(name: string): string {
    const holding = this.#byName.get(name)
    return holding?.over ? String(holding.token.number) : ''
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
