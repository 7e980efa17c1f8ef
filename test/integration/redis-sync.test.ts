/** Hints over a real Redis: what proves itself is heard, what does not is not, and a dead bus is found to be down. */
import { Redis } from 'ioredis'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { Envelopes } from '../../core/fleet/envelope.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type RedisServer, startRedis } from '../harness/redis.ts'
import { type MadeSync, makeSync, type SyncNode } from '../harness/redis-store.ts'
import { startRelay } from '../harness/relay.ts'
import { until } from '../harness/until.ts'

const fleetKeys = ['a secret of the whole fleet']
const revision = { number: 7, id: 'w-7' }
const up = (node: MadeSync): Promise<unknown> => until('the bus is up', () => node.states.at(-1) === 'up')

const cleanup = untilFileEnds()
let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ cleanup })
})

const node = (given: SyncNode = {}, more: object = {}): Promise<MadeSync> =>
  makeSync({ url: server.url, timeout: '1s', ...more }, { fleetKeys, ...given })

/** Another client of the same server. */
function client(): Redis {
  const made = new Redis(server.port, '127.0.0.1')
  onTestFinished(() => made.disconnect())
  return made
}

/** All that is said on the channel of a fleet. */
async function listen(fleet: string): Promise<string[]> {
  const said: string[] = []
  const ear = client()
  ear.on('message', (_channel, text) => void said.push(text))
  await ear.subscribe(`{millrace:${fleet}}:redis`)
  return said
}

test('an announcement reaches every node of the fleet, with its revision; none of another, and none that did not ask for it', async () => {
  const [a, b] = [await node({ fleet: 'one', id: 'a' }), await node({ fleet: 'one', id: 'b' })]
  const other = await node({ fleet: 'two', id: 'c' })
  const narrow = await node({ fleet: 'one', id: 'd', documents: ['health/'] })
  await Promise.all([a, b, other, narrow].map(up))
  await a.sync.announce?.('config', revision)
  await a.sync.announce?.('health/w1', revision)
  await until('all have heard', () => b.hints.length === 2 && narrow.hints.length === 1)
  expect(b.hints).toEqual([
    ['config', revision],
    ['health/w1', revision],
  ])
  expect(narrow.hints).toEqual([['health/w1', revision]])
  expect(other.hints).toEqual([])
})

describe('a message that does not prove itself is dropped', () => {
  test('replayed, changed, of another key, of another fleet, or nonsense', async () => {
    const fleet = 'proof'
    const said = await listen(fleet)
    const [a, b] = [await node({ fleet, id: 'a' }), await node({ fleet, id: 'b' })]
    const stranger = await node({ fleet, id: 'x', fleetKeys: ['another secret'] })
    const keyless = await node({ fleet, id: 'y', fleetKeys: [] })
    await Promise.all([a, b, stranger, keyless].map(up))
    await a.sync.announce?.('config', revision)
    await until('b has heard', () => b.hints.length === 1)
    const real = await until('it was said', () => said.find((text) => text.includes('w-7')))
    const mouth = client()
    const channel = `{millrace:${fleet}}:redis`
    await stranger.sync.announce?.('config', revision)
    await keyless.sync.announce?.('config', revision)
    for (const text of [real, real.replace('w-7', 'w-8'), real.slice(1), '', '[]', 'x'.repeat(100)])
      await mouth.publish(channel, text)
    // It proves itself, and is longer than any that a node says.
    const self = { id: 'z', boot: 'z' }
    const long = new Envelopes({ fleet, self, keys: fleetKeys, wall: () => Date.now() })
    const padded = `["config",9,"w-9"]${' '.repeat(10_000)}`
    await mouth.publish(channel, long.sealText('config-sync redis', padded))
    await a.sync.announce?.('last', revision)
    await until('b has heard the last', () => b.hints.some(([document]) => document === 'last'))
    expect(b.hints.map(([document]) => document)).toEqual(['config', 'last'])
    expect(keyless.warnings).toEqual([expect.stringContaining('fleetKey')])
    expect(b.warnings).toEqual([])
  })
})

test('a node that was started again counts anew, and is heard', async () => {
  const fleet = 'again'
  const b = await node({ fleet, id: 'b' })
  await up(b)
  for (let start = 1; start <= 3; start++) {
    const a = await node({ fleet, id: 'a' })
    await a.sync.announce?.('config', { number: start, id: `w-${start}` })
    await until('b has heard', () => b.hints.length === start)
    await a.stop()
  }
})

test('a server that is stopped is found to be down by its silence, and is up again with it', async () => {
  const own = await startRedis()
  const options = { url: own.url, heartbeat: '100ms', timeout: '500ms' }
  const a = await makeSync(options, { fleetKeys, id: 'a' })
  const b = await makeSync(options, { fleetKeys, id: 'b' })
  await Promise.all([a, b].map(up))
  own.pause()
  await until('both are down', () => [a, b].every(({ states }) => states.at(-1) === 'down'))
  await expect(a.sync.announce?.('config', revision)).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  own.resume()
  await Promise.all([a, b].map(up))
  await a.sync.announce?.('config', { number: 8, id: 'w-8' })
  await until('b has heard', () => b.hints.some(([, found]) => found?.number === 8))
})

test('a connection that is lost is down at once, and up after a new subscription', async () => {
  const relay = await startRelay(server.port)
  const a = await node({ fleet: 'cut' }, { url: `redis://127.0.0.1:${relay.port}`, heartbeat: '1m' })
  await up(a)
  relay.cut()
  await until('down', () => a.states.at(-1) === 'down')
  await expect(a.sync.announce?.('config', revision)).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  relay.heal()
  await up(a)
  expect(a.states).toEqual(['up', 'down', 'up'])
})

test('heartbeats are about one an interval, however many nodes there are', async () => {
  const fleet = 'many'
  const said = await listen(fleet)
  const nodes = await Promise.all(
    Array.from({ length: 10 }, (_, n) => node({ fleet, id: `n${n}` }, { heartbeat: '200ms' })),
  )
  await Promise.all(nodes.map(up))
  const before = said.length
  const started = performance.now()
  await until('forty heartbeats', () => said.length >= before + 40)
  const intervals = (performance.now() - started) / 200
  // One of ten nodes speaks, a few at once at times: nowhere near ten an interval.
  expect(40 / intervals).toBeLessThan(7)
  expect(nodes.map(({ states }) => states)).toEqual(nodes.map(() => ['up']))
})

test('a user who may not subscribe is told so, once', async () => {
  await server.command('acl', 'setuser', 'deaf', 'on', '>pw', '~*', 'resetchannels', '+@all')
  const a = await node({}, { username: 'deaf', password: 'pw' })
  await until('it is said', () => a.warnings.length > 0)
  expect(a.warnings[0]).toMatch(/no hints can be subscribed to.*NOPERM/s)
  expect(a.states).toEqual([])
})
