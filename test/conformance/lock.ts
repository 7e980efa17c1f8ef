/** Tests of kind `lock`. */
import { strict as assert } from 'node:assert'
import type { Lock, Locker } from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import { Rivals, ttlMs } from './rivals.ts'

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
    name: 'of many that want it at once each gets it in turn, and never two of them hold it',
    timeoutMs: 60_000,
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const holding = new Set<Lock>()
      const tokens: number[] = []
      const work = async (locker: Locker): Promise<void> => {
        const lock = await locker.acquire('backup', { ttlMs, waitMs: 25_000 })
        assert(lock, 'it was never free')
        holding.add(lock)
        assert.deepEqual(
          [...holding].filter((each) => each.valid()),
          [lock],
          'two hold it',
        )
        tokens.push(lock.token.number)
        await Promise.resolve()
        holding.delete(lock)
        await lock.release()
      }
      const workers = [0, 1, 0, 1, 0, 1].map((index) => work(rivals.lockers[index]))
      await rivals.outcome(Promise.all(workers))
      assert.equal(tokens.length, workers.length)
      assert.deepEqual(
        tokens,
        [...tokens].sort((a, b) => a - b),
        'tokens do not rise from holder to holder',
      )
    },
  },
  {
    name: 'refuses names and times that are not allowed, before anything is held',
    async run(stage) {
      const rivals = await Rivals.of(stage, 1)
      const [locker] = rivals.lockers
      const longest = 'n'.repeat(200)
      for (const name of ['', 'a b', '/a', 'a//b', 'ä', `${longest}n`])
        await assert.rejects(
          rivals.outcome(locker.acquire(name, { ttlMs })),
          { code: 'MR_STORE_LIMIT' },
          `the name ${JSON.stringify(name)} was taken`,
        )
      for (const wrong of [{ ttlMs: 99 }, { ttlMs: Number.NaN }, { ttlMs, waitMs: -1 }])
        await assert.rejects(
          rivals.outcome(locker.acquire('backup', wrong)),
          { code: 'MR_STORE_LIMIT' },
          `${JSON.stringify(wrong)} was taken`,
        )
      for (const name of [longest, 'a/b.c_D-9'])
        assert(await rivals.take(0, name), `the name ${name} was refused`)
      assert(await rivals.take(0), 'a refused call holds it')
    },
  },
  {
    name: 'stopping ends the waiting',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const lock = await rivals.take(0)
      const waiting = rivals.lockers[1].acquire('backup', { ttlMs, waitMs: 20_000 })
      waiting.catch(() => {})
      await rivals.pass(100)
      await rivals.outcome(rivals.stops[1]())
      await assert.rejects(rivals.outcome(waiting), { code: 'MR_STORE_UNAVAILABLE' })
      assert(lock?.valid())
    },
  },
  {
    name: 'stopping frees what is held',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const lock = await rivals.take(0)
      await rivals.outcome(rivals.stops[0]())
      assert.equal(lock?.valid(), false)
      assert(lock?.lost.aborted, 'its holder was not told')
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
    name: 'an answer that comes when its time is over is no lock, and what it took is freed',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const [slow] = rivals.stores
      const lease = slow.lease.bind(slow)
      slow.lease = async (...given) => {
        const taken = await lease(...given)
        await new Promise<void>((resolve) => void stage.time.clock().after(ttlMs, resolve))
        return taken
      }
      const outcome = await rivals
        .outcome(rivals.lockers[0].acquire('backup', { ttlMs }))
        .catch((error: unknown) => error)
      const lock = outcome as Partial<Lock> | undefined
      assert(lock?.valid === undefined, 'a lock that nobody may act on was given')
      await rivals.pass(50)
      assert(await rivals.take(1))
    },
  },
  {
    name: 'time that passes while the loop stands still ends it, and a late renewal does not bring it back',
    async run(stage) {
      const rivals = await Rivals.of(stage)
      const lock = await rivals.take(0)
      assert(lock)
      stage.time.stall(ttlMs - 1)
      assert.equal(lock.valid(), false, 'valid after its time')
      await rivals.pass(50)
      assert.equal(lock.valid(), false, 'a lock that was lost came back')
      assert(lock.lost.aborted, 'its holder was not told')
      assert(await rivals.take(1), 'it is still held by nobody')
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
