/** Tests of kind `config-store`: leases, watches and faults. */
import { strict as assert } from 'node:assert'
import type { Lease, PutResult, RevisionRef } from '../../core/contracts/index.ts'
import type { Case } from './case.ts'
import { Clients, note, refused, textOf } from './store-clients.ts'

/** Long enough for a real store (ZooKeeper's sessions), short enough for a test. */
const ttlMs = 2000

export const leaseCases: readonly Case<'config-store'>[] = [
  {
    name: 'a lease has one holder; the same holder has the same lease',
    async run(stage) {
      const { a, b } = await Clients.of(stage)
      const lease = await a.lease('relay', 'one', 30_000)
      assert(lease, 'nobody holds it')
      assert(lease.valid(), 'a new lease is not valid')
      assert(
        lease.remainingMs() > 0 && lease.remainingMs() <= 30_000 * 0.99,
        `valid for ${lease.remainingMs()} of 30000 ms: less than the whole time, for the clocks`,
      )
      assert.equal(await b.lease('relay', 'two', 30_000), undefined)
      const again = await b.lease('relay', 'one', 30_000)
      assert.deepEqual(again?.token, lease.token)
      assert(await b.lease('other', 'two', 30_000), 'names are not apart')
      const held = (await b.leases('')).map(({ name, holder, token }) => [name, holder, token.number])
      assert.deepEqual(held[1], ['relay', 'one', lease.token.number])
      assert.deepEqual(
        (await a.leases('oth')).map(({ name }) => name),
        ['other'],
      )
      assert.equal(lease.token.lineage, await a.lineage())
    },
  },
  {
    name: 'a released lease is free at once; a token never falls, nor is it given twice',
    async run(stage) {
      const { a, b } = await Clients.of(stage)
      let last = 0
      for (let round = 0; round < 6; round++) {
        const lease = await (round % 2 === 0 ? a : b).lease('relay', `holder-${round}`, 30_000)
        assert(lease, `round ${round}: not free after the release`)
        assert(
          Number.isSafeInteger(lease.token.number) && lease.token.number > last,
          `token ${lease.token.number} after ${last}`,
        )
        last = lease.token.number
        const releasing = lease.release()
        assert.equal(lease.valid(), false, 'still valid while it is released')
        await releasing
        await lease.release()
        assert.equal(await lease.renew(), false, 'renewed after the release')
      }
    },
  },
  {
    name: 'a lease that nobody renews lapses: first for its holder, then for the others',
    timeoutMs: 60_000,
    async run(stage) {
      const clients = await Clients.of(stage)
      const lease = await clients.a.lease('relay', 'one', ttlMs)
      assert(lease)
      const next: { lease: Lease | undefined } = { lease: undefined }
      assert.equal(await clients.b.lease('relay', 'two', ttlMs), undefined)
      await clients.until('it lapses', async () => {
        const valid = lease.valid()
        next.lease = await clients.b.lease('relay', 'two', ttlMs)
        assert(!(next.lease && valid && lease.valid()), 'given to another while its holder had it')
        return next.lease !== undefined
      })
      assert((next.lease?.token.number ?? 0) > lease.token.number)
      assert.equal(await lease.renew(), false, 'renewed what is another’s')
      await lease.release()
      assert.equal(await clients.a.lease('relay', 'three', ttlMs), undefined, 'released what is another’s')
    },
  },
  {
    name: 'a lease that is renewed stays',
    timeoutMs: 60_000,
    async run(stage) {
      const clients = await Clients.of(stage)
      const lease = await clients.a.lease('relay', 'one', ttlMs)
      assert(lease)
      for (let third = 0; third < 7; third++) {
        await clients.pass(ttlMs / 3)
        assert.equal(await lease.renew(), true)
        assert(lease.valid())
        assert.equal(await clients.b.lease('relay', 'two', ttlMs), undefined)
      }
    },
  },
]

export const watchCases: readonly Case<'config-store'>[] = [
  {
    name: 'watch, where there is one: what is committed after `up` is hinted at, until it is closed',
    timeoutMs: 60_000,
    async run(stage) {
      const clients = await Clients.of(stage)
      if (!clients.b.watch) return
      const hints: [string, RevisionRef | undefined][] = []
      let state = 'down'
      let returned = false
      const watch = clients.b.watch(['config', 'health/'], {
        hint: (document, revision) => {
          assert(returned, 'called before watch had returned')
          hints.push([document, revision])
        },
        bus: (now) => {
          state = now
        },
      })
      returned = true
      await clients.until('the watch is up', () => state === 'up')
      const [first] = await clients.writes('config', 1)
      await clients.until('a first hint', () => hints.some(([document]) => document === 'config'))
      hints.length = 0
      await clients.write('config', 'v2', first)
      await clients.until('a second hint: watches that fire once are armed again', () => hints.length > 0)
      await clients.write('health/w1', 'x', null)
      await clients.until('a hint for the other prefix', () =>
        hints.some(([document]) => document === 'health/w1'),
      )
      watch.close()
      hints.length = 0
      await clients.write('health/w2', 'x', null)
      await clients.pass(200)
      assert.deepEqual(hints, [], 'hinted after close')
    },
  },
]

export const answerCases: readonly Case<'config-store'>[] = [
  {
    name: 'a write whose answer is lost is unknown, and settled by the same write again',
    timeoutMs: 60_000,
    async run(stage) {
      const clients = await Clients.of(stage)
      const [first] = await clients.writes('config', 1)
      await clients.site.loseAnswer?.()
      const id = clients.id()
      const put = () => clients.a.put('config', Buffer.from('v2'), first, id, note)
      const lost = await put()
      // A plugin may have settled it by itself.
      assert(lost.status === 'unknown' || lost.status === 'committed', `${lost.status}: it was written`)
      let settled: PutResult = lost
      await clients.until('it is settled', async () => {
        settled = await put()
        return settled.status !== 'unknown'
      })
      assert.deepEqual(settled, { status: 'committed', revision: { number: 2, id, parent: first.id } })
      assert.equal((await clients.b.history('config')).length, 2)
    },
  },
]

export const cutCases: readonly Case<'config-store'>[] = [
  {
    name: 'a store that cannot be asked says so, and never that there is nothing',
    timeoutMs: 120_000,
    async run(stage) {
      const clients = await Clients.of(stage)
      const [first] = await clients.writes('config', 1)
      const lease = await clients.a.lease('relay', 'one', ttlMs)
      assert(lease)
      await clients.site.cut?.()
      const calls: [string, () => Promise<unknown>][] = [
        ['get', () => clients.a.get('config', { fresh: true })],
        ['heads', () => clients.a.heads('', { fresh: true })],
        ['lease', () => clients.a.lease('other', 'one', ttlMs)],
      ]
      for (const [name, call] of calls) await refused('MR_STORE_UNAVAILABLE', call, name)
      const id = clients.id()
      const put = () => clients.a.put('config', Buffer.from('v2'), first, id, note)
      const result = await put().catch(() => undefined)
      assert(result === undefined || result.status === 'unknown', `put: ${result?.status}`)
      await refused('MR_STORE_UNAVAILABLE', () => lease.renew(), 'renew')
      await clients.until('the lease is over for its holder', () => !lease.valid())
      await clients.site.heal?.()
      await clients.until(
        'it can be asked again',
        async () => (await clients.a.get('config').catch(() => null)) !== null,
        30_000,
      )
      await clients.until(
        'the write is settled',
        async () => (await put().catch(() => undefined))?.status === 'committed',
      )
      assert.equal(await textOf(clients.b, 'config'), 'v2')
      assert.equal((await clients.b.history('config')).length, 2, 'written twice')
    },
  },
  {
    name: 'a watch that was cut off says down, and then up: hints missed between are its reader’s to look for',
    timeoutMs: 120_000,
    async run(stage) {
      const clients = await Clients.of(stage)
      if (!clients.b.watch) return
      const states: string[] = []
      let hints = 0
      const listener = { hint: () => void hints++, bus: (now: string) => void states.push(now) }
      const watch = clients.b.watch([''], listener)
      stage.defer(() => watch.close())
      await clients.until('up', () => states.at(-1) === 'up')
      await clients.site.cut?.()
      await clients.until('down', () => states.at(-1) === 'down', 60_000)
      await clients.site.heal?.()
      await clients.until('up again', () => states.at(-1) === 'up', 60_000)
      hints = 0
      await clients.write('config', 'v1', null)
      await clients.until('a hint', () => hints > 0)
    },
  },
]
