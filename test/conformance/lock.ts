/** Tests of kind `lock`. */
import { strict as assert } from 'node:assert'
import { setTimeout as later } from 'node:timers/promises'
import type { Lock, Locker } from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
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

const ttlMs = 2000

/** Two processes that want the same. */
class Rivals {
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

export const exerciseLock: Exercise<'lock'> = {
  async prepare(stage) {
    if (!stage.fixture.start) return {}
    const site = await stage.fixture.start()
    stage.defer(() => site.stop?.())
    return { clock: systemClock, options: site.options ?? stage.subject.options }
  },
  async use(_stage, { instance }) {
    const lock = await instance.acquire('exercise', { ttlMs })
    assert(lock, 'a lock that nobody holds was refused')
  },
}

export const lockCases: readonly Case<'lock'>[] = [
  {
    name: 'one holds it, the other does not; released, it is the other’s',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const first = await rivals.take(0)
      assert(first, 'nobody holds it')
      assert(first.valid() && first.remainingMs() > 0 && first.remainingMs() < ttlMs)
      assert.equal(await rivals.take(1), undefined)
      assert.equal(await rivals.take(0), undefined, 'a lock is not re-entrant')
      assert(await rivals.take(1, 'another'), 'names are not apart')
      const releasing = first.release()
      assert.equal(first.valid(), false, 'valid while it is released')
      await rivals.outcome(releasing)
      await rivals.outcome(first.release())
      assert.equal(first.lost.aborted, false, 'released is not lost')
      assert(await rivals.take(1))
    },
  },
  {
    name: 'tokens strictly increase from holder to holder',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      let last = 0
      for (let round = 0; round < 8; round++) {
        const lock = await rivals.take(round % 2)
        assert(lock, `round ${round}: it is free`)
        assert(lock.token.number > last, `token ${lock.token.number} after ${last}: it does not increase`)
        last = lock.token.number
        await rivals.outcome(lock.release())
      }
    },
  },
  {
    name: 'is renewed for as long as it is held',
    timeoutMs: 60_000,
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const lock = await rivals.take(0)
      for (let step = 0; step < 12; step++) {
        await rivals.pass(ttlMs / 3)
        assert(lock?.valid(), `lost after ${step} thirds of its time to live`)
        assert.equal(await rivals.take(1), undefined)
      }
    },
  },
  {
    name: 'waits for it as long as it is told, and not after it was called off',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const first = await rivals.take(0)
      const waiting = rivals.lockers[1].acquire('backup', { ttlMs, waitMs: 20_000 })
      await rivals.pass(100)
      await rivals.outcome(first?.release() ?? Promise.resolve())
      const second = await rivals.outcome(waiting)
      assert(second, 'it was freed while another waited')
      assert(second.valid())
      assert.equal(
        await rivals.outcome(rivals.lockers[0].acquire('backup', { ttlMs, waitMs: 200 })),
        undefined,
      )
      const abort = new AbortController()
      const given = rivals.lockers[0].acquire('backup', { ttlMs, waitMs: 20_000, signal: abort.signal })
      given.catch(() => {})
      await rivals.pass(50)
      abort.abort(new Error('called off'))
      await assert.rejects(rivals.outcome(given), /called off/)
      await rivals.outcome(second.release())
      await rivals.pass(500)
      assert(await rivals.take(1), 'who had called it off took it')
    },
  },
  {
    name: 'stopping frees what is held',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const lock = await rivals.take(0)
      await rivals.outcome(rivals.stops[0]())
      assert.equal(lock?.valid(), false)
      assert(await rivals.take(1))
    },
  },
]

/** With the kit's store, whose faults can be chosen. */
export const lockFaultCases: readonly Case<'lock'>[] = [
  {
    name: 'a holder that is cut off has lost it before another gets it, and is told',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const lock = await rivals.take(0)
      assert(lock)
      rivals.stores[0].cut = true
      let second: Lock | undefined
      for (let waited = 0; waited < 5 * ttlMs && !second; waited += 50) {
        await rivals.pass(50)
        second = await rivals.lockers[1].acquire('backup', { ttlMs })
        assert(!(second && lock.valid()), 'two hold it')
      }
      assert(second, 'never free')
      assert(second.token.number > lock.token.number)
      assert(lock.lost.aborted, 'its holder was not told')
      rivals.stores[0].cut = false
      await lock.release()
      assert(second.valid())
      await rivals.pass(ttlMs)
      assert(second.valid(), 'the former holder took or freed it')
      assert.equal(await rivals.take(0), undefined)
    },
  },
  {
    name: 'without the store acquire rejects: unknown is not held by another',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      rivals.stores[0].cut = true
      await assert.rejects(rivals.outcome(rivals.lockers[0].acquire('backup', { ttlMs })), {
        code: 'MR_STORE_UNAVAILABLE',
      })
    },
  },
]
