/** One circuit breaker as the threads of a process see it. */
import { strict as assert } from 'node:assert'
import type { Backend, BreakerGate, CircuitBreaker } from '../../core/contracts/index.ts'
import type { Stage } from './stage.ts'
import { numbered } from './view.ts'

export interface BreakerFixture {
  /** False: it refuses what is too much but never opens (a concurrency limit). Default true. */
  readonly opens: boolean
  /** Settles a try so that enough of them in a row open the breaker. Default: as a failure after 1 ms. */
  readonly fail: (gate: BreakerGate, token: number) => void
  /** Settles a try so that enough of them in a row close it. Default: as a success after 1 ms. */
  readonly succeed: (gate: BreakerGate, token: number) => void
}

type Scene = Stage<'circuit-breaker'>

/** More failures than any breaker with sensible options needs, more permits than any gives. */
export const most = 5000
export const longestOpenS = 3600

/** One breaker as the threads of a process see it: an instance each, clocks of different origin, the same memory. */
export class Threads {
  readonly gates: BreakerGate[] = []
  readonly instances: CircuitBreaker[] = []
  readonly changes: number[] = []
  readonly #stage: Scene

  constructor(stage: Scene) {
    this.#stage = stage
  }

  static async of(stage: Scene, count: number, backend: Backend = numbered(1)[0]): Promise<Threads> {
    const threads = new Threads(stage)
    for (let thread = 0; thread < count; thread++) await threads.add(thread, count, backend)
    return threads
  }

  async add(thread: number, threads: number, backend: Backend): Promise<void> {
    const clock = this.#stage.time.clock(1000 + thread * 54_321.7)
    const { instance } = await this.#stage.make({ clock, context: { thread, threads } })
    const at = this.gates.length
    this.changes[at] = 0
    this.instances.push(instance)
    this.gates.push(instance.for(backend, () => this.changes[at]++))
  }

  /** One try that is to fail; false: it was refused. */
  fail(thread = 0): boolean {
    return this.#settle(
      thread,
      this.#stage.fixture.fail ?? ((gate, token) => gate.settle(token, 'failure', 1)),
    )
  }

  succeed(thread = 0): boolean {
    return this.#settle(
      thread,
      this.#stage.fixture.succeed ?? ((gate, token) => gate.settle(token, 'success', 1)),
    )
  }

  /** Failures until it is open; they come in turn from the threads. */
  trip(...from: number[]): number {
    const turns = from.length === 0 ? [0] : from
    for (let tries = 1; tries <= most; tries++) {
      this.fail(turns[tries % turns.length])
      if (this.gates[turns[tries % turns.length]].state === 'open') return tries
    }
    assert.fail(
      `${most} failures did not open it; give the kit options that open sooner, or fixture: { fail }`,
    )
  }

  /** Lets its time go by. */
  waitHalfOpen(thread = 0): void {
    for (let seconds = 0; seconds < longestOpenS; seconds++) {
      this.#stage.time.advance(1000)
      const { state } = this.gates[thread]
      if (state === 'half-open') return
      assert.equal(state, 'open', 'an open breaker becomes half-open first')
    }
    assert.fail(`it is still open after ${longestOpenS} s`)
  }

  /** Every permit that there is now, from all threads in turn. */
  permits(): { thread: number; token: number }[] {
    const given: { thread: number; token: number }[] = []
    for (let refused = 0, turn = 0; refused < this.gates.length && given.length < most; turn++) {
      const thread = turn % this.gates.length
      const token = this.gates[thread].tryAcquire()
      if (token === 0) refused++
      else {
        given.push({ thread, token })
        refused = 0
      }
    }
    return given
  }

  #settle(thread: number, settle: (gate: BreakerGate, token: number) => void): boolean {
    const token = this.gates[thread].tryAcquire()
    if (token > 0) settle(this.gates[thread], token)
    return token > 0
  }
}
