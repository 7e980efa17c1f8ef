/** The ZooKeeper store on a sound server: access, foreign data, limits, what it leaves behind, leases, watches, and its users. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { canonical } from '../../core/config/canonical.ts'
import { configSchema, decodeConfig, encodeConfig } from '../../core/config/sync/value.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { until } from '../harness/until.ts'
import { startZookeeper, type ZookeeperServer } from '../harness/zookeeper.ts'
import { makeStore, nodesUnder, note, stranger, textOf, write, writeId } from '../harness/zookeeper-store.ts'

const cleanup = untilFileEnds()
let server: ZookeeperServer
beforeAll(async () => {
  server = await startZookeeper({ cleanup })
})

/** Where nobody has been before. */
const fresh = (): { base: string; url: string } => {
  const base = `/${randomUUID()}`
  return { base, url: server.url + base }
}

const caught = (work: Promise<unknown>): Promise<{ code?: string; message?: string; cause?: unknown }> =>
  work.then(
    () => ({}),
    (error: object) => error,
  )

const secrets = { username: 'ann', password: 'right-one' }

describe('access', () => {
  test('with a password nobody else reads or changes anything; what is written was closed before', async () => {
    const { base, url } = fresh()
    const { store } = await makeStore({ url, ...secrets })
    let head = await write(store, 'config', 'v1', null)
    for (let n = 2; n <= 10; n++) head = await write(store, 'config', Buffer.alloc(1_200_000, n), head)
    await store.markAnnounced('config', head)
    await store.lease('relay', 'me', 5000)
    const mine = await stranger(server)
    await mine.authenticate('ann', 'right-one')
    const eve = await stranger(server)
    const paths = await nodesUnder(mine, `${base}/default`)
    // Ten revisions, of two parts but the first, whose value lies with its record.
    expect(paths).toHaveLength(4 + 3 + 10 + 18)
    for (const path of paths) {
      expect((await caught(eve.get(path))).code).toBe('MR_STORE_DENIED')
      expect((await caught(eve.children(path))).code).toBe('MR_STORE_DENIED')
      expect((await caught(eve.set(path, Buffer.from('x'), -1))).code).toBe('MR_STORE_DENIED')
      // The package creates nodes that are open: version 0 of each was empty.
      const node = await mine.get(path)
      if (node && node.data.length > 0) expect(node.stat.version).toBeGreaterThan(0)
    }
  })

  test('a password that is missing or wrong is MR_STORE_DENIED, and stands in no message', async () => {
    const { url } = fresh()
    const { store } = await makeStore({ url: url.replace('//', '//ann:right%2Done@') })
    await write(store, 'config', 'v1', null)
    for (const given of [{}, { username: 'ann', password: 'wrong-one' }]) {
      const other = await makeStore({ url, ...given })
      for (const call of [
        other.store.get('config'),
        other.store.put('config', Buffer.from('x'), null, writeId(), note),
        other.store.lease('relay', 'me', 5000),
        other.store.lineage(),
      ]) {
        const error = await caught(call)
        expect(error.code).toBe('MR_STORE_DENIED')
        expect(JSON.stringify(error) + error.message + String(error.cause)).not.toContain('wrong-one')
      }
    }
    expect(textOf(await (await makeStore({ url, ...secrets })).store.get('config'))).toBe('v1')
  })
})

describe('what is not ours is MR_STORE_DATA, and stays as it is', () => {
  const cases: [why: string, path: string, data: string][] = [
    ['a newer format', '', '{"format":2,"lineage":"x"}'],
    ['another program', '', 'hello'],
    ['a head that is no record', '/documents/config', 'nonsense'],
    ['a head of another shape', '/documents/config', '{"number":1,"id":"id"}'],
    [
      'a head without its revision',
      '/documents/config',
      '{"node":"1-gone","number":1,"id":"id","tombstone":false,"note":{"by":"x"},"at":1,"bytes":3,"kept":[]}',
    ],
  ]
  test.each(cases)('%s', async (_why, path, data) => {
    const { base, url } = fresh()
    await write((await makeStore({ url })).store, 'config', 'v1', null)
    const { store } = await makeStore({ url })
    const eve = await stranger(server)
    const node = `${base}/default${path}`
    await eve.set(node, Buffer.from(data), -1)
    expect((await caught(store.get('config'))).code).toBe('MR_STORE_DATA')
    const wrong = { number: 7, id: 'id' }
    if (!data.includes('1-gone'))
      expect((await caught(store.put('config', Buffer.from('x'), wrong, writeId(), note))).code).toBe(
        'MR_STORE_DATA',
      )
    expect((await eve.get(node))?.data.toString()).toBe(data)
  })
})

describe('limits', () => {
  test('the longest value comes back; history keeps 16 MiB of long ones, a hundred of short ones, and no node beside', async () => {
    const { base, url } = fresh()
    const { store } = await makeStore({ url, timeout: '20s' })
    let head = await write(store, 'long', Buffer.alloc(8 * 2 ** 20, 1), null)
    for (let n = 2; n <= 5; n++) head = await write(store, 'long', Buffer.alloc(8 * 2 ** 20, n), head)
    expect((await store.get('long'))?.value?.at(-1)).toBe(5)
    const history = await store.history('long')
    expect(history.map(({ revision }) => revision.number)).toEqual([5, 4])
    expect((await store.revision('long', history[1].revision))?.value?.at(0)).toBe(4)
    let short = await write(store, 'short', '1', null)
    const first = short
    for (let n = 2; n <= 130; n++) short = await write(store, 'short', String(n), short)
    expect(await store.history('short', { limit: 1000 })).toHaveLength(100)
    expect(await store.revision('short', first)).toBeNull()
    const eve = await stranger(server)
    const count = async (document: string) =>
      (await nodesUnder(eve, `${base}/default/documents/${document}`)).length
    await expect.poll(() => count('short')).toBe(1 + 100)
    // Two revisions of nine parts.
    await expect.poll(() => count('long')).toBe(1 + 2 * 10)
  })

  test('10,000 backends in 100 services fit', async () => {
    const { url } = fresh()
    const { store } = await makeStore({ url })
    const services = Object.fromEntries(
      Array.from({ length: 100 }, (_, service) => [
        `service-${service}`,
        {
          algorithm: 'maglev',
          backends: Array.from({ length: 100 }, (_, n) => ({
            url: `http://10.${service}.${n}.1:8080`,
            weight: 1 + (n % 7),
            zone: `zone-${n % 3}`,
          })),
        },
      ]),
    )
    const config = { routes: [{ service: 'service-0' }], services }
    const value = encodeConfig(config)
    await write(store, 'config', value, null)
    const found = await store.get('config', { fresh: true })
    expect(canonical(decodeConfig(found?.value ?? Buffer.alloc(0), configSchema))).toBe(canonical(config))
    // Not packed either: it takes more than one node.
    const plain = Buffer.from(JSON.stringify(config).padEnd(2_500_000))
    await write(store, 'plain', plain, null)
    expect(Buffer.compare((await store.get('plain'))?.value ?? Buffer.alloc(0), plain)).toBe(0)
  })

  test('every name that is allowed can be written, and comes back as it was', async () => {
    const { url } = fresh()
    const { store } = await makeStore({ url })
    const names = ['.', '..', 'a/../b', 'a.b', 'health/w-1', 'x'.repeat(200), '...', 'zookeeper']
    for (const name of names) await write(store, name, name, null)
    expect((await store.heads('')).map(({ document }) => document)).toEqual([...names].sort())
    for (const name of names) {
      expect(textOf(await store.get(name))).toBe(name)
      expect((await store.lease(name, 'me', 5000))?.name).toBe(name)
    }
    expect((await store.leases('')).map(({ name }) => name)).toEqual([...names].sort())
  })

  test('a note comes back as it was given', async () => {
    const { store } = await makeStore({ url: fresh().url })
    const given = { by: 'Zoë "the\nadmin"', message: 'line one\nline two ☃', schema: 7 }
    await store.put('config', Buffer.from('x'), null, writeId(), given)
    expect((await store.heads(''))[0].note).toEqual(given)
    expect((await store.history('config'))[0].note).toEqual(given)
  })
})

test('what a writer left behind is collected by the next, save what may still be named', async () => {
  const { base, url } = fresh()
  const { store } = await makeStore({ url })
  const first = await write(store, 'config', 'v1', null)
  const eve = await stranger(server)
  const documents = `${base}/default/documents/config`
  for (const name of ['1-late', '2-lost', '3-under-way']) {
    await eve.create(`${documents}/${name}`, Buffer.from('x'))
    await eve.create(`${documents}/${name}/0`, Buffer.from('x'))
  }
  const second = await write(store, 'config', 'v2', first)
  const left = async () => (await eve.children(documents))?.filter((name) => /-[a-z-]+$/.test(name))
  await expect.poll(left).toEqual(['3-under-way'])
  await write(store, 'config', 'v3', second)
  await expect.poll(left).toEqual([])
  expect(await store.history('config')).toHaveLength(3)
})

describe('leases', () => {
  test('taken again for a shorter time they stay for the longer one', async () => {
    const { url } = fresh()
    const [a, b] = [await makeStore({ url }), await makeStore({ url })]
    const long = await a.store.lease('relay', 'me', 60_000)
    const short = await b.store.lease('relay', 'me', 100)
    expect(short?.token).toEqual(long?.token)
    await until('the short one is over', () => !short?.valid())
    expect(await b.store.lease('relay', 'other', 100)).toBeUndefined()
    const another = await b.store.lease('another', 'me', 200)
    await until('one of twice its length is over', () => !another?.valid())
    expect(await b.store.lease('relay', 'other', 100)).toBeUndefined()
    expect(long?.valid()).toBe(true)
  })

  test('released, every object of it is over, and it is free at once for others', async () => {
    const { url } = fresh()
    const [a, b] = [await makeStore({ url }), await makeStore({ url })]
    const one = await a.store.lease('relay', 'me', 60_000)
    const two = await a.store.lease('relay', 'me', 60_000)
    await one?.release()
    expect([one?.valid(), two?.valid(), await two?.renew()]).toEqual([false, false, false])
    expect(await b.store.leases('')).toEqual([])
    const next = await b.store.lease('relay', 'other', 60_000)
    expect(next?.token.number).toBeGreaterThan(one?.token.number ?? Number.NaN)
    await one?.release()
    expect((await a.store.leases('')).map(({ holder }) => holder)).toEqual(['other'])
  })

  test('of many that want it at the same time one has it', async () => {
    const { url } = fresh()
    const stores = await Promise.all(Array.from({ length: 6 }, () => makeStore({ url })))
    for (let round = 0; round < 5; round++) {
      const taken = await Promise.all(
        stores.map(({ store }, n) => store.lease('relay', `${round}-${n}`, 60_000)),
      )
      const held = taken.filter((lease) => lease !== undefined)
      expect(held).toHaveLength(1)
      await held[0].release()
    }
  })

  test('one that was not renewed for long by every clock is given at once to a process that has just begun', async () => {
    const { url } = fresh()
    const { store } = await makeStore({ url })
    const lease = await store.lease('relay', 'old', 100)
    await until('it is over', () => !lease?.valid())
    // By this machine's clock alone it would be long ago; the server's says that it is not.
    const ahead = await makeStore({ url }, { wall: () => Date.now() + 3_600_000 })
    expect(await ahead.store.lease('relay', 'new', 100)).toBeUndefined()
    expect((await ahead.store.leases('')).map(({ holder }) => holder)).toEqual(['old'])
  })
})

describe('watch', () => {
  const watching = async (url: string, prefixes: string[]) => {
    const { store } = await makeStore({ url })
    const hints: string[] = []
    let state = 'down'
    const watch = store.watch?.(prefixes, {
      hint: (document, revision) => void hints.push(`${document} ${revision?.number}`),
      bus: (now) => {
        state = now
      },
    })
    await until('it is up', () => state === 'up')
    return { store, hints, close: () => watch?.close(), state: () => state }
  }

  test('each listener hears of its own documents, with their revision, and of no lease and no mark', async () => {
    const { url } = fresh()
    const { store } = await makeStore({ url })
    const before = await write(store, 'config', 'v1', null)
    const all = await watching(url, [''])
    const own = await watching(url, ['config', 'health/'])
    const revision = await write(store, 'config', 'v2', before)
    await until('a hint', () => all.hints.includes('config 2') && own.hints.includes('config 2'))
    await store.markAnnounced('config', revision)
    await store.lease('config', 'me', 5000)
    await write(store, 'node/1', 'x', null)
    await write(store, 'health/w', 'x', null)
    await until('hints of all', () => own.hints.includes('health/w 1') && all.hints.includes('health/w 1'))
    expect(new Set(own.hints)).toEqual(new Set(['config 2', 'health/w 1']))
    expect(new Set(all.hints)).toEqual(new Set(['config 2', 'node/1 1', 'health/w 1']))
  })

  test('of a hundred changes one after the other the last is always hinted at', async () => {
    const { url } = fresh()
    const { store } = await makeStore({ url })
    const one = await watching(url, ['config'])
    let head = await write(store, 'config', 'v1', null)
    for (let n = 2; n <= 100; n++) head = await write(store, 'config', `v${n}`, head)
    await until('the last', () => one.hints.at(-1) === 'config 100')
    // One after the other: none comes back.
    const numbers = one.hints.map((hint) => Number(hint.split(' ')[1]))
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    expect(one.state()).toBe('up')
  })
})
