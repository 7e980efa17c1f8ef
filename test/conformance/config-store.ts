/** Tests of kind `config-store`: documents. Leases and faults: config-store-leases.ts. */
import { strict as assert } from 'node:assert'
import { maxValueBytes, type Revision, type RevisionRef } from '../../core/contracts/index.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import { Clients, makingFor, note, refused, startSite, textOf } from './store-clients.ts'

export const exerciseStore: Exercise<'config-store'> = {
  prepare: (stage) => startSite(stage).then((site) => makingFor(stage, site)),
  async use(_stage, { instance }) {
    // The store of another instance, maybe: what is there already is no matter.
    await instance.put('exercise', Buffer.from('x'), null, 'write-0123456789abcdef', note)
    await instance.get('exercise', { fresh: true })
    const lease = await instance.lease('exercise', 'holder', 30_000)
    await lease?.renew()
    instance.watch?.([''], { hint() {}, bus() {} })
  },
}

export const storeCases: readonly Case<'config-store'>[] = [
  {
    name: 'an empty store answers, and holds nothing',
    async run(stage) {
      const { a } = await Clients.of(stage)
      assert.equal(await a.get('config'), null)
      assert.equal(await a.get('config', { fresh: true }), null)
      assert.deepEqual([await a.heads(''), await a.history('config')], [[], []])
      assert.deepEqual([await a.unannounced(), await a.leases('')], [[], []])
      assert.equal(await a.revision('config', { number: 1, id: 'x' }), null)
    },
  },
  {
    name: 'what was committed is read back, byte for byte, by every client',
    async run(stage) {
      const clients = await Clients.of(stage)
      const { a, b } = clients
      const values = [
        new Uint8Array(0),
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        new Uint8Array(3 * 2 ** 20).fill(7),
      ]
      for (const [index, value] of values.entries()) {
        const document = `data/${index}`
        const id = clients.id()
        assert.deepEqual(await a.put(document, value, null, id, note), {
          status: 'committed',
          revision: { number: 1, id, parent: undefined },
        })
        const found = await b.get(document, { fresh: true })
        assert(found?.value, 'not there')
        assert.equal(Buffer.compare(found.value, value), 0, `${value.length} bytes came back as others`)
        assert.deepEqual([found.bytes, found.tombstone, found.note.by], [value.length, false, 'conformance'])
        assert(
          Math.abs(found.at - Date.now()) < 10 * 365 * 86_400_000 && found.at > 1e12,
          `at is ${found.at}: milliseconds since 1970`,
        )
      }
    },
  },
  {
    name: 'revisions count up by one, and name their parent',
    async run(stage) {
      const clients = await Clients.of(stage)
      const revisions = await clients.writes('config', 5)
      assert.deepEqual(
        revisions.map(({ number }) => number),
        [1, 2, 3, 4, 5],
      )
      assert.deepEqual(
        revisions.map(({ parent }) => parent),
        [undefined, ...revisions.slice(0, 4).map(({ id }) => id)],
      )
      assert.equal(await textOf(clients.b, 'config'), 'v5')
      await clients.write('other', 'x', null)
      assert.deepEqual(
        (await clients.a.heads('')).map(({ document, revision }) => [document, revision.number]),
        [
          ['config', 5],
          ['other', 1],
        ],
      )
      assert.deepEqual(
        (await clients.a.heads('oth')).map(({ document }) => document),
        ['other'],
      )
    },
  },
  {
    name: 'compare-and-set: only the head, by number and id, may be replaced',
    async run(stage) {
      const clients = await Clients.of(stage)
      const [first, second] = await clients.writes('config', 2)
      const wrong: [why: string, expect: RevisionRef | null][] = [
        ['expected none', null],
        ['an older one', first],
        ['the id of another', { number: second.number, id: first.id }],
        ['a later number', { number: second.number + 1, id: second.id }],
      ]
      for (const [why, expect] of wrong) {
        const result = await clients.put(clients.b, 'config', 'stolen', expect)
        assert.equal(result.status, 'conflict', why)
        assert.equal(
          (result as { head: { revision: Revision } | null }).head?.revision.id,
          second.id,
          `${why}: the head in the way`,
        )
      }
      const missing = await clients.put(clients.b, 'missing', 'x', second)
      assert.deepEqual(missing, { status: 'conflict', head: null })
      assert.equal(await textOf(clients.a, 'config'), 'v2')
      assert.equal((await clients.a.history('config')).length, 2)
      assert.equal(await clients.a.get('missing'), null)
    },
  },
  {
    name: 'of writers at the same time one wins, and the others are told',
    async run(stage) {
      const clients = await Clients.of(stage)
      let head: Revision | null = null
      for (let round = 0; round < 10; round++) {
        const results = await Promise.all(
          Array.from({ length: 12 }, (_, writer) =>
            clients.put(writer % 2 === 0 ? clients.a : clients.b, 'config', `${round}-${writer}`, head),
          ),
        )
        const winners = results.flatMap((result) => (result.status === 'committed' ? [result.revision] : []))
        assert.equal(winners.length, 1, `round ${round}: ${results.map(({ status }) => status)}`)
        assert(results.every(({ status }) => status !== 'unknown'))
        head = winners[0]
        assert.equal(head.number, round + 1)
      }
      assert.deepEqual(
        (await clients.a.history('config')).map(({ revision }) => revision.number),
        [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
      )
    },
  },
  {
    name: 'the same write again is committed once, also when others have written since',
    async run(stage) {
      const clients = await Clients.of(stage)
      const id = clients.id()
      const again = (store = clients.a) => store.put('config', Buffer.from('v1'), null, id, note)
      const first = await again()
      assert.equal(first.status, 'committed')
      assert.deepEqual(await again(clients.b), first)
      await clients.write('config', 'v2', (first as { revision: Revision }).revision)
      assert.deepEqual(await again(), first)
      assert.equal(await textOf(clients.b, 'config'), 'v2')
      assert.equal((await clients.a.history('config')).length, 2)
    },
  },
  {
    name: 'a removed document is a tombstone, and goes on counting',
    async run(stage) {
      const clients = await Clients.of(stage)
      const [first] = await clients.writes('config', 1)
      const gone = await clients.write('config', null, first)
      const found = await clients.b.get('config', { fresh: true })
      assert.deepEqual([found?.value, found?.tombstone, found?.revision.number], [null, true, 2])
      assert.deepEqual(
        (await clients.a.heads('')).map(({ tombstone }) => tombstone),
        [true],
      )
      assert.equal((await clients.put(clients.a, 'config', 'x', null)).status, 'conflict')
      assert.equal((await clients.write('config', 'back', gone)).number, 3)
    },
  },
  {
    name: 'history holds the last hundred, newest first, with their values',
    timeoutMs: 60_000,
    async run(stage) {
      const clients = await Clients.of(stage)
      const revisions = await clients.writes('config', 120)
      const history = await clients.b.history('config', { limit: 1000 })
      assert(history.length >= 100, `${history.length} revisions are kept`)
      const numbers = history.map(({ revision }) => revision.number)
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => 120 - index),
        'gaps, or not the newest first',
      )
      assert.deepEqual(
        (await clients.a.history('config', { before: 110, limit: 3 })).map(({ revision }) => revision.number),
        [109, 108, 107],
      )
      const kept = await clients.a.revision('config', revisions[49])
      assert.equal(Buffer.from(kept?.value ?? '').toString(), 'v50')
      assert.equal(await clients.a.revision('config', { number: 50, id: 'another' }), null)
    },
  },
  {
    name: 'the outbox holds what was committed and not announced',
    async run(stage) {
      const clients = await Clients.of(stage)
      const waiting = async (): Promise<unknown> =>
        (await clients.b.unannounced()).map(({ document, revision }) => [document, revision.number])
      const revisions = await clients.writes('config', 3)
      assert.deepEqual(await waiting(), [['config', 3]])
      await clients.a.markAnnounced('config', revisions[0])
      assert.deepEqual(await waiting(), [['config', 3]])
      await clients.a.markAnnounced('config', revisions[2])
      assert.deepEqual(await waiting(), [])
      await clients.a.markAnnounced('config', revisions[1])
      assert.deepEqual(await waiting(), [], 'an older mark undid a newer one')
      await clients.write('config', 'v4', revisions[2])
      assert.deepEqual(await waiting(), [['config', 4]])
    },
  },
  {
    name: 'one lineage for all; fleets do not see each other',
    async run(stage) {
      const clients = await Clients.of(stage)
      await clients.write('config', 'ours', null)
      const lineage = await clients.a.lineage()
      assert(lineage.length >= 8, `the lineage is ${JSON.stringify(lineage)}: too short to be random`)
      assert.equal(await clients.b.lineage(), lineage)
      for (const fresh of [false, true]) {
        const found = await clients.b.get('config', { fresh })
        assert.equal(found?.lineage ?? lineage, lineage, 'a document is told to be of another lineage')
      }
      if (clients.site.shared === false) return
      const other = await clients.another({ fleet: 'another' })
      assert.deepEqual([await other.get('config'), await other.heads('')], [null, []])
      await clients.write('config', 'theirs', null, other)
      assert.equal(await textOf(clients.a, 'config'), 'ours')
      assert(await other.lease('lease', 'x', 5000))
      assert(await clients.a.lease('lease', 'y', 5000), 'held by another fleet')
    },
  },
  {
    name: 'names and values that are not allowed are refused, and nothing is written',
    async run(stage) {
      const clients = await Clients.of(stage)
      for (const name of ['', '/a', 'a//b', 'a/', '../a b', 'ä', 'x'.repeat(201)])
        await refused(
          'MR_STORE_LIMIT',
          () => clients.put(clients.a, name, 'x', null),
          `the name ${JSON.stringify(name.slice(0, 20))}`,
        )
      const long = new Uint8Array(maxValueBytes + 1)
      await refused(
        'MR_STORE_LIMIT',
        () => clients.a.put('long', long, null, clients.id(), note),
        'a value over the limit',
      )
      assert.deepEqual(await clients.a.heads(''), [])
    },
  },
]
