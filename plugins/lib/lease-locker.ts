/** Locks made of leases: waiting, renewing and freeing are the same for all of them, whoever gives the lease. */
import {
  type AcquireOptions,
  type Clock,
  type Lease,
  type Lock,
  type Locker,
  MillraceError,
  type ProcessContext,
} from 'millrace'
import { KeptLock } from './kept-lock.ts'
import { randomId } from './random-id.ts'
import { checkLease } from './store-checks.ts'

/**
 * As `lease` of a config store: takes one that nobody holds, undefined where another does, MR_STORE_UNAVAILABLE where nobody knows.
 * Each call of one `acquire` has the same holder, so that a lease whose answer was lost is had by asking again.
 */
export type TakeLease = (name: string, holder: string, ttlMs: number) => Promise<Lease | undefined>

export type LockerContext = Pick<ProcessContext, 'clock' | 'signal' | 'members' | 'defer' | 'random'>

const usualTtlMs = 10_000
/** The contract: an answer that has not come by then is none. */
const answerMs = 5000
/** Between two tries, with jitter: the first, and the longest. */
const firstPauseMs = 20
const longestPauseMs = 250

/** What came of one try. Where nothing came of it, the holder's name may be used up: what it took may be on its way back. */
type Tried =
  | { readonly lock: Lock }
  | { readonly lock?: undefined; readonly error?: MillraceError; readonly spent?: boolean }

export class LeaseLocker implements Locker {
  readonly #context: LockerContext
  readonly #take: TakeLease
  readonly #held = new Set<KeptLock>()

  constructor(context: LockerContext, take: TakeLease) {
    this.#context = context
    this.#take = take
    context.defer(async () => {
      await Promise.all([...this.#held].map((lock) => lock.lose('this node is being stopped')))
    })
  }

  async acquire(name: string, options: AcquireOptions = {}): Promise<Lock | undefined> {
    const { ttlMs = usualTtlMs, waitMs = 0, signal } = options
    const { clock } = this.#context
    let holder = this.#newHolder()
    checkLease(name, holder, ttlMs)
    if (!(waitMs >= 0))
      throw new MillraceError('MR_STORE_LIMIT', `lock ${name}: \`waitMs\` is 0 or more, not ${waitMs}`)
    const until = clock.now() + waitMs
    for (let tries = 0; ; tries++) {
      this.#checkGoing(name, signal)
      const tried = await this.#try(name, holder, ttlMs, signal)
      if (tried.lock) return tried.lock
      const leftMs = until - clock.now()
      if (leftMs <= 0) {
        if (tried.error) throw tried.error
        return undefined
      }
      if (tried.spent) holder = this.#newHolder()
      await this.#pause(Math.min(leftMs, this.#pauseMs(tries)), signal)
    }
  }

  async #try(name: string, holder: string, ttlMs: number, signal: AbortSignal | undefined): Promise<Tried> {
    let lease: Lease | undefined
    try {
      lease = await this.#answer(name, this.#take(name, holder, ttlMs))
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'MR_STORE_UNAVAILABLE') throw error
      this.#checkGoing(name, signal)
      return { error, spent: error instanceof LateAnswer }
    }
    if (!lease) return {}
    if (signal?.aborted || this.#context.signal.aborted) {
      await lease.release()
      this.#checkGoing(name, signal)
    }
    if (lease.valid()) {
      const lock = new KeptLock(name, lease, this.#context.clock, (ended) => void this.#held.delete(ended))
      this.#held.add(lock)
      return { lock }
    }
    void lease.release()
    return { error: new LateAnswer(name, 'its time was over'), spent: true }
  }

  /** The answer, if it comes in time; what comes later is given back. */
  #answer(name: string, taking: Promise<Lease | undefined>): Promise<Lease | undefined> {
    return new Promise((resolve, reject) => {
      let late = false
      const timer = this.#context.clock.after(answerMs, () => {
        late = true
        reject(new LateAnswer(name, `${answerMs} ms had passed`))
      })
      taking.then(
        (lease) => {
          timer.cancel()
          if (late) void lease?.release()
          else resolve(lease)
        },
        (error: unknown) => {
          timer.cancel()
          reject(error)
        },
      )
    })
  }

  /** Ends early when the waiting is called off, or this instance stops. */
  #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const signals = signal ? [signal, this.#context.signal] : [this.#context.signal]
    return paused(this.#context.clock, ms, signals)
  }

  #pauseMs(tries: number): number {
    const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(tries, 10))
    return longest * (0.5 + this.#context.random() / 2)
  }

  /** Unlike any that this node has had, so that it is never taken for an earlier one of itself. */
  #newHolder(): string {
    return `${this.#context.members.self.id}/${randomId(() => this.#context.random())}`
  }

  #checkGoing(name: string, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#context.signal.aborted)
      throw new MillraceError('MR_STORE_UNAVAILABLE', `lock ${name}: this node is being stopped`)
  }
}

class LateAnswer extends MillraceError {
  constructor(name: string, why: string) {
    super('MR_STORE_UNAVAILABLE', `lock ${name}: ${why} before it was known who has it`)
  }
}

/** Resolves after `ms`, or as soon as one of the signals has fired. */
export function paused(
  clock: Pick<Clock, 'after'>,
  ms: number,
  signals: readonly AbortSignal[],
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel()
      for (const signal of signals) signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.after(ms, done)
    for (const signal of signals) {
      if (signal.aborted) return done()
      signal.addEventListener('abort', done)
    }
  })
}
