/** Two processes that want the same lock, in the kit's time or on servers of their own. */
import { strict as assert } from 'node:assert'
import { setTimeout as later } from 'node:timers/promises'
import type { Lock, Locker } from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import type { MemoryClient } from './memory-store.ts'
import type { Stage } from './stage.ts'

export interface LockFixture {
  /**
   * Locks on servers of their own (Redis): an empty set of them for one test. Default: none; the lock uses `context.store`,
   * and the kit's time.
   */
  start():
    | { readonly options?: unknown; stop?(): unknown }
    | Promise<{ readonly options?: unknown; stop?(): unknown }>
}

type Scene = Stage<'lock'>

export const ttlMs = 2000

/** Two processes that want the same. */
export class Rivals {
  readonly #stage: Scene
  readonly #real: boolean
  readonly lockers: Locker[] = []
  readonly stores: MemoryClient[] = []
  readonly stops: (() => Promise<void>)[] = []

  constructor(stage: Scene) {
    this.#stage = stage
    this.#real = stage.fixture.start !== undefined
  }

  static async of(stage: Scene, count = 2): Promise<Rivals> {
    const rivals = new Rivals(stage)
    const site = await stage.fixture.start?.()
    stage.defer(() => site?.stop?.())
    for (let index = 0; index < count; index++) {
      const time = stage.time.clock(index * 5000)
      const store = stage.store.client(time)
      const { instance, stop } = await stage.make({
        clock: rivals.#real ? systemClock : time,
        seed: index + 1,
        context: { store },
        options: site?.options ?? stage.subject.options,
      })
      rivals.lockers.push(instance)
      rivals.stores.push(store)
      rivals.stops.push(stop)
    }
    return rivals
  }

  async pass(ms: number): Promise<void> {
    await (this.#real ? later(ms) : this.#stage.time.advanceAsync(ms))
  }

  /** A call's result, while time passes for it. */
  async outcome<T>(call: Promise<T>): Promise<T> {
    let over = false
    const done = call.finally(() => {
      over = true
    })
    done.catch(() => {})
    for (let waited = 0; waited < 30_000 && !over; waited += 20) await this.pass(20)
    assert(over, 'a call is not over after 30 s')
    return done
  }

  async take(index: number, name = 'backup'): Promise<Lock | undefined> {
    return this.outcome(this.lockers[index].acquire(name, { ttlMs }))
  }
}
