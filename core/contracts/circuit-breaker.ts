/** Kind `circuit-breaker`: stops sending to a backend that fails. One instance per service and data thread; what the
 * threads must agree on lives in `context.shared`. */
import type { Backend } from './algorithm.ts'

/** `cancelled`: the client went away or the exchange was ended for a reason that says nothing about the backend. */
export type Outcome = 'success' | 'failure' | 'cancelled'

export type BreakerState = 'closed' | 'open' | 'half-open'

/** The breaker of one backend as one thread sees it. */
export interface BreakerGate {
  /** Now. Reading it may move an open breaker whose time is over to half-open. */
  readonly state: BreakerState
  /**
   * Asks to send one try. Returns a token > 0, or 0 when refused; a refused backend is excluded and another is picked.
   * Synchronous, allocates nothing. A half-open permit that is never settled expires.
   */
  tryAcquire(): number
  /**
   * Gives a token back, exactly once. A token from an earlier state of the breaker is stale and does not count.
   * @param ms time from the first request byte written to the first response byte; NaN when none came
   */
  settle(token: number, outcome: Outcome, ms: number): void
}

export interface CircuitBreaker {
  /**
   * The gate of one backend; called once per backend and thread.
   * @param changed must be called by the thread that changed the state, after the change
   */
  for(backend: Backend, changed: () => void): BreakerGate
  /** New options for the same instance; an open breaker stays open. Absent: made anew on the same shared memory. */
  reconfigure?(options: never): void
}
