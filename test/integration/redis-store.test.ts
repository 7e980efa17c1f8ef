/** The Redis store on a sound server: access, foreign data, limits, leases, and what it says of the server. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type RedisServer, startRedis } from '../harness/redis.ts'
import { makeStore, note, textOf, write, writeId } from '../harness/redis-store.ts'

const cleanup = untilFileEnds()
let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ aof: true, cleanup })
})
beforeEach(async () => {
  await server.command('flushall')
})

const caught = (work: Promise<unknown>): Promise<{ code?: string; message?: string; cause?: unknown }> =>
  work.then(
    () => ({}),
    (error: object) => error,
  )

describe('access', () => {
  test('a password that is missing or wrong is MR_STORE_DENIED, and stands in no message', async () => {
    const guarded = await startRedis({ password: 'right-one', aof: true })
    for (const password of [undefined, 'wrong-one']) {
      const { store } = await makeStore({ url: guarded.url, password, timeout: '1s' })
      const error = await caught(store.get('config'))
      expect(error.code).toBe('MR_STORE_DENIED')
      expect(error.message).toContain(`127.0.0.1:${guarded.port}`)
      expect(JSON.stringify(error) + error.message + String(error.cause)).not.toContain('wrong-one')
      expect(await caught(store.put('config', Buffer.from('x'), null, writeId(), note))).toMatchObject({
        code: 'MR_STORE_DENIED',
      })
    }
    const byUrl = await makeStore({ url: guarded.url.replace('//', '//:right-one@') })
    await write(byUrl.store, 'config', 'v1', null)
    const byOption = await makeStore({ url: guarded.url, password: 'right-one' })
    expect(textOf(await byOption.store.get('config'))).toBe('v1')
  })

  test('a user without the right to the keys is MR_STORE_DENIED; one with no more than docs/redis.md says can do all', async () => {
    await server.command('acl', 'setuser', 'reader', 'on', '>pw', '~other:*', '+@all')
    const denied = await makeStore({ url: server.url, username: 'reader', password: 'pw' })
    expect((await caught(denied.store.get('config'))).code).toBe('MR_STORE_DENIED')
    const rights = [
      '+@connection',
      '+@read',
      '+@write',
      '+@scripting',
      '+info',
      '+wait',
      '+time',
      '-@dangerous',
      '+info',
    ]
    await server.command('acl', 'setuser', 'millrace', 'on', '>pw', '~{millrace:*', '&{millrace:*', ...rights)
    const { store, warnings } = await makeStore({ url: server.url, username: 'millrace', password: 'pw' })
    const first = await write(store, 'config', 'v1', null)
    await store.markAnnounced('config', first)
    const lease = await store.lease('relay', 'me', 5000)
    expect(await lease?.renew()).toBe(true)
    await lease?.release()
    expect(await store.heads('')).toHaveLength(1)
    expect(await store.leases('')).toEqual([])
    expect(warnings).toEqual([])
  })

  test('over TLS, with the authority that signed the certificate and with no other', async () => {
    const authority = createCertificateAuthority()
    const { certFile, keyFile } = authority.server(['127.0.0.1', 'localhost'])
    const secure = await startRedis({
      tls: { ca: authority.caFile, cert: certFile, key: keyFile },
      aof: true,
    })
    const { store } = await makeStore({ url: secure.url, tls: { ca: authority.caFile } })
    await write(store, 'config', 'v1', null)
    expect(textOf(await store.get('config'))).toBe('v1')
    const distrustful = await makeStore({ url: secure.url, timeout: '1s' })
    expect(await caught(distrustful.store.get('config'))).toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
      message: expect.stringMatching(/certificate/),
    })
    authority.dispose()
  })

  test('a database that the server does not have is refused, not replaced by another', async () => {
    const { store } = await makeStore({ url: `${server.url}/99`, timeout: '1s' })
    const error = await caught(store.put('config', Buffer.from('x'), null, writeId(), note))
    expect(error).toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
      message: expect.stringContaining('DB index'),
    })
    const third = await makeStore({ url: `${server.url}/3` })
    await write(third.store, 'config', 'in 3', null)
    const none = await makeStore({ url: server.url })
    expect(await none.store.get('config')).toBeNull()
  })
})

describe('what is not ours', () => {
  const cases: [why: string, ...command: [string, ...string[]]][] = [
    ['a key of another type', 'set', '{millrace:default}:heads', 'x'],
    ['a newer format', 'hset', '{millrace:default}:meta', 'format', '2'],
    ['a head that is no record', 'hset', '{millrace:default}:heads', 'config', 'nonsense'],
    [
      'a head without its history',
      'hset',
      '{millrace:default}:heads',
      'config',
      '1\nid\n\n0\n1\n1\n{"by":"x"}',
    ],
  ]
  test.each(cases)('%s is MR_STORE_DATA, and stays as it is', async (_why, ...command) => {
    await server.command(...command)
    const before = await server.command('keys', '*')
    const { store } = await makeStore({ url: server.url })
    expect((await caught(store.get('config'))).code).toBe('MR_STORE_DATA')
    const expected = { number: 1, id: 'id' }
    expect((await caught(store.put('config', Buffer.from('x'), expected, writeId(), note))).code).toBe(
      'MR_STORE_DATA',
    )
    expect(await server.command('keys', '*')).toEqual(before)
  })
})

describe('limits', () => {
  test('a full server says why, and nothing is written', async () => {
    const small = await startRedis({ aof: true, more: ['--maxmemory', '4mb'] })
    const { store } = await makeStore({ url: small.url })
    const head = await write(store, 'config', 'v1', null)
    await small.command('set', 'ballast', 'x'.repeat(4 * 2 ** 20)).catch(() => {})
    const big = Buffer.alloc(2 ** 20)
    const error = await caught(
      (async () => {
        for (let n = 0; n < 8; n++) await write(store, `doc/${n}`, big, null)
      })(),
    )
    expect(error).toMatchObject({ code: 'MR_STORE_UNAVAILABLE', message: expect.stringContaining('OOM') })
    const heads = await store.heads('doc/')
    for (const { document } of heads) expect((await store.get(document))?.value?.length).toBe(big.length)
    expect(await store.get(`doc/${heads.length}`)).toBeNull()
    expect((await store.get('config'))?.revision).toEqual(head)
  })

  test('the longest value comes back; history keeps 16 MiB of long ones, and a hundred of short ones', async () => {
    const { store } = await makeStore({ url: server.url, timeout: '20s' })
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
    const fields = Number(await server.command('hlen', '{millrace:default}:doc:short'))
    expect(fields).toBe(302)
  })

  test('names, write ids, notes and leases beyond their limits are MR_STORE_LIMIT', async () => {
    const { store } = await makeStore({ url: server.url })
    const put = (id: string, given: object) =>
      caught(store.put('config', null, null, id, { ...note, ...given }))
    for (const error of await Promise.all([
      put('not allowed', {}),
      put('x'.repeat(65), {}),
      put('ok', { by: 'x'.repeat(201) }),
      put('ok', { message: 'x'.repeat(1001) }),
      put('ok', { schema: 0 }),
      caught(store.lease('a', 'me', 99)),
      caught(store.lease('a', '', 5000)),
      caught(store.lease('/a', 'me', 5000)),
    ]))
      expect(error.code).toBe('MR_STORE_LIMIT')
    expect(await server.command('dbsize')).toBe(0)
  })
})

test('a note comes back as it was given', async () => {
  const { store } = await makeStore({ url: server.url })
  const given = { by: 'Zoë "the\nadmin"', message: 'line one\nline two ☃', schema: 7 }
  await store.put('config', Buffer.from('x'), null, writeId(), given)
  expect((await store.heads(''))[0].note).toEqual(given)
})

test('scripts that the server has forgotten are sent again', async () => {
  const { store } = await makeStore({ url: server.url })
  const head = await write(store, 'config', 'v1', null)
  await server.command('script', 'flush')
  expect((await write(store, 'config', 'v2', head)).number).toBe(2)
})

describe('leases', () => {
  test('taken again for a shorter time they stay for the longer one', async () => {
    const { store } = await makeStore({ url: server.url })
    const long = await store.lease('relay', 'me', 60_000)
    await store.lease('relay', 'me', 100)
    expect(long?.valid()).toBe(true)
    expect(Number(await server.command('pttl', '{millrace:default}:lease:relay'))).toBeGreaterThan(50_000)
  })

  test('released, every object of it is over; taken again it has a new token, which a late release does not touch', async () => {
    const { store } = await makeStore({ url: server.url })
    const one = await store.lease('relay', 'me', 60_000)
    const two = await store.lease('relay', 'me', 60_000)
    await server.command('client', 'pause', 60_000, 'write')
    // Its answer does not come; that it was sent is enough.
    const releasing = one?.release()
    expect([one?.valid(), two?.valid()]).toEqual([false, false])
    const again = store.lease('relay', 'me', 60_000)
    await server.command('client', 'unpause')
    await releasing
    const taken = await again
    expect(taken?.token.number).toBeGreaterThan(one?.token.number ?? Number.NaN)
    expect(taken?.valid()).toBe(true)
    expect((await store.leases('')).map(({ token }) => token.number)).toEqual([taken?.token.number])
  })

  test('one whose release was lost comes back with another token', async () => {
    const { store } = await makeStore({ url: server.url })
    const one = await store.lease('relay', 'me', 60_000)
    // As if the release had never arrived.
    const held = String(await server.command('get', '{millrace:default}:lease:relay'))
    await one?.release()
    await server.command('set', '{millrace:default}:lease:relay', held, 'px', 60_000)
    const again = await store.lease('relay', 'me', 60_000)
    expect(again?.token.number).toBeGreaterThan(one?.token.number ?? Number.NaN)
    expect(await again?.renew()).toBe(true)
    expect(one?.valid()).toBe(false)
  })

  test('tokens count by the clock of the server, above any that was given', async () => {
    const { store } = await makeStore({ url: server.url })
    const first = await store.lease('a', 'me', 5000)
    expect(Math.abs((first?.token.number ?? 0) / 1000 - Date.now())).toBeLessThan(60_000)
    const ahead = 9_000_000_000_000_000
    await server.command('hset', '{millrace:default}:meta', 'token', ahead)
    expect((await store.lease('b', 'me', 5000))?.token.number).toBe(ahead + 1)
  })
})

describe('what it says of the server', () => {
  test('a server without AOF, and one that evicts, is warned of once', async () => {
    const careless = await startRedis({ more: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] })
    const { store, warnings } = await makeStore({ url: careless.url })
    await write(store, 'config', 'v1', null)
    await careless.command('client', 'kill', 'type', 'normal')
    await expect.poll(() => store.get('config').catch(() => null)).not.toBeNull()
    expect(warnings).toEqual([
      expect.stringMatching(/append-only file off.*appendonly yes/),
      expect.stringMatching(/allkeys-lru.*noeviction/),
    ])
  })

  test('a server that keeps everything is not', async () => {
    const { store, warnings } = await makeStore({ url: server.url })
    await write(store, 'config', 'v1', null)
    expect(warnings).toEqual([])
  })

  test('one that may not be asked is said to be so, once', async () => {
    await server.command('acl', 'setuser', 'blind', 'on', '>pw', '~*', '+@all', '-info')
    const { store, warnings } = await makeStore({ url: server.url, username: 'blind', password: 'pw' })
    await write(store, 'config', 'v1', null)
    expect(warnings).toEqual([expect.stringContaining('may not be asked')])
  })
})

test('a document is told with the lineage of the store that it is in', async () => {
  const { store } = await makeStore({ url: server.url })
  const first = await write(store, 'config', 'v1', null)
  expect((await store.get('config'))?.lineage).toBe(await store.lineage())
  await server.command('flushall')
  await write(store, 'config', 'v1', null)
  const found = await store.get('config')
  expect([found?.lineage, found?.revision.id === first.id]).toEqual([await store.lineage(), false])
})
