/** Tests of kind `config-sync`: hints may be lost, doubled and reordered; a reader converges all the same. */
import { strict as assert } from 'node:assert'
import { systemClock } from '../../core/host/clock.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import { Fleet, reconcileMs } from './sync-fleet.ts'

export const exerciseSync: Exercise<'config-sync'> = {
  async prepare(stage) {
    const site = await stage.fixture.start?.()
    if (!site) return {}
    stage.defer(() => site.stop?.())
    const clock = site.time?.clock() ?? systemClock
    return { clock, options: site.options ?? stage.subject.options, context: site.context?.(0) }
  },
  async use(stage, { instance }) {
    await stage.time.advanceAsync(100)
    await instance.announce?.('config', { number: 1, id: 'x' }).catch(() => {})
  },
}

export const syncCases: readonly Case<'config-sync'>[] = [
  {
    name: 'readers converge on every change, whatever it brings',
    timeoutMs: 60_000,
    async run(stage) {
      const fleet = await Fleet.of(stage, 3)
      for (let change = 0; change < 5; change++) {
        await fleet.change()
        await fleet.pass(30)
      }
      await fleet.converge()
    },
  },
  {
    name: 'tells nothing after it was stopped',
    timeoutMs: 60_000,
    async run(stage) {
      const fleet = await Fleet.of(stage, 2)
      await fleet.pass(500)
      await fleet.nodes[1].stop()
      const told = fleet.nodes[1].told.length
      await fleet.change()
      await fleet.pass(500)
      assert.deepEqual(fleet.nodes[1].told.slice(told), [])
    },
  },
]

export const hintCases: readonly Case<'config-sync'>[] = [
  {
    name: 'the bus comes up by itself; what is announced from then on is hinted at, by its name and revision',
    timeoutMs: 60_000,
    async run(stage) {
      const fleet = await Fleet.of(stage, 3)
      await fleet.allUp()
      await fleet.change()
      await fleet.until(
        'a hint at both others',
        () => fleet.hintsAt(1).length > 0 && fleet.hintsAt(2).length > 0,
        reconcileMs / 2,
      )
      for (const told of [...fleet.hintsAt(1), ...fleet.hintsAt(2)]) {
        assert(told.call === 'hint')
        assert.equal(told.document, 'config')
        if (told.revision)
          assert.deepEqual([told.revision.number, told.revision.id], [1, 'write-1-0123456789abcdef'])
      }
      await fleet.converge(reconcileMs / 2)
    },
  },
  {
    name: 'nothing changes: no hints, and a bus that stays up',
    timeoutMs: 60_000,
    async run(stage) {
      const fleet = await Fleet.of(stage)
      await fleet.allUp()
      const hints = fleet.hintsAt(0).length + fleet.hintsAt(1).length
      await fleet.pass(fleet.site.time ? 120_000 : 3000)
      assert.equal(
        fleet.hintsAt(0).length + fleet.hintsAt(1).length,
        hints,
        'hints although nothing was announced',
      )
      assert.deepEqual([fleet.busOf(0), fleet.busOf(1)], ['up', 'up'], 'silence is not a fault')
    },
  },
  {
    name: 'takes the same announcement twice, and an older one after a newer one',
    timeoutMs: 60_000,
    async run(stage) {
      const fleet = await Fleet.of(stage)
      await fleet.allUp()
      for (let change = 0; change < 3; change++) await fleet.change()
      const history = await fleet.store.history('config')
      for (const { revision } of history) {
        await fleet.announce(revision)
        await fleet.announce(revision)
      }
      await fleet.converge(reconcileMs / 2)
    },
  },
]

const messages = (fault: 'lose' | 'double' | 'reorder', what: string): Case<'config-sync'> => ({
  name: `readers converge when hints are ${what}`,
  timeoutMs: 120_000,
  async run(stage) {
    const fleet = await Fleet.of(stage, 3)
    await fleet.allUp()
    await fleet.site.fault?.(fault)
    for (let change = 0; change < 6; change++) {
      await fleet.change()
      await fleet.pass(40)
    }
    await fleet.converge()
    await fleet.site.fault?.('none')
    await fleet.allUp()
    await fleet.change()
    await fleet.converge(reconcileMs / 2)
  },
})

export const messageCases = {
  lose: messages('lose', 'lost'),
  double: messages('double', 'doubled'),
  reorder: messages('reorder', 'reordered'),
} as const

export const cutCase: Case<'config-sync'> = {
  name: 'a bus that is cut is down before hints are missed for long, and up again with a catch-up read',
  timeoutMs: 120_000,
  async run(stage) {
    const fleet = await Fleet.of(stage)
    await fleet.allUp()
    await fleet.site.cut?.()
    await fleet.until('the bus is down', () => fleet.busOf(1) === 'down', 60_000)
    await fleet.change()
    // Down means polling: nobody waits for the slow reconcile.
    await fleet.converge(reconcileMs / 2)
    await fleet.site.heal?.()
    await fleet.allUp()
    const { reads } = fleet.readers[1]
    await fleet.change()
    await fleet.converge(reconcileMs / 2)
    assert(fleet.readers[1].reads > reads)
    assert(fleet.hintsAt(1).length > 0, 'no hint after the bus had come back')
  },
}
