/** Messages between nodes over real sockets: who proves itself is heard, once; who does not is dropped and counted. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import type { Received } from 'millrace'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Envelopes } from '../../core/fleet/envelope.ts'
import { FleetNetwork, type NetworkDeps } from '../../core/fleet/network.ts'
import { systemClock } from '../../core/host/clock.ts'
import { freeNodePort } from '../harness/fleet.ts'
import { until } from '../harness/until.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

async function node(id: string, given: Partial<NetworkDeps> & { address?: string } = {}) {
  const drops: string[] = []
  const address = given.address ?? `127.0.0.1:${await freeNodePort()}`
  const network = new FleetNetwork({
    ...{ fleet: 'f', keys: ['key'], clock: systemClock, log: quiet },
    self: { id, boot: `boot-${id}`, address },
    dropped: (reason) => void drops.push(reason),
    ...given,
  })
  onTestFinished(() => network.close())
  return { address, network, drops, port: network.for('config-sync test') }
}

/** What it hears, as text. */
function ear({ port }: Awaited<ReturnType<typeof node>>): [from: string, text: string][] {
  const heard: [string, string][] = []
  port.onMessage(({ from, payload }) => void heard.push([from, Buffer.from(payload).toString()]))
  return heard
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const echo = ({ from, payload }: Received): Uint8Array => bytes(`${from}: ${Buffer.from(payload)}`)

test('a datagram arrives with who has sent it, and a request is answered', async () => {
  const [a, b] = [await node('a'), await node('b')]
  const heard = ear(b)
  b.port.onRequest(echo)
  await b.network.ready()
  await a.port.send(b.address, bytes('hello'))
  await until('b has heard', () => heard.length > 0)
  expect(heard).toEqual([['a', 'hello']])
  const answer = await a.port.request(b.address, bytes('and?'), { timeoutMs: 5000 })
  expect(Buffer.from(answer).toString()).toBe('a: and?')
  const long = Buffer.alloc(1024 * 1024, 'x')
  expect((await a.port.request(b.address, long, { timeoutMs: 20_000 })).length).toBe(long.length + 3)
})

test('an answer counts only if it is of the node that was meant', async () => {
  const [a, b] = [await node('a'), await node('b')]
  b.port.onRequest(echo)
  await b.network.ready()
  const ask = (meant: string) => a.port.request(b.address, bytes('?'), { timeoutMs: 5000, node: meant })
  expect(Buffer.from(await ask('b')).toString()).toBe('a: ?')
  await expect(ask('c')).rejects.toMatchObject({
    code: 'MR_NETWORK',
    message: expect.stringContaining('the node b answers there, not c'),
  })
})

test('plugins hear only their own kind and name, and a datagram is no request', async () => {
  const [a, b] = [await node('a'), await node('b')]
  const heard = ear(b)
  const other = b.network.for('failure-detector test')
  const others: unknown[] = []
  other.onMessage((message) => void others.push(message))
  await b.network.ready()
  await a.network.for('failure-detector test').send(b.address, bytes('to the other'))
  await a.port.send(b.address, bytes('to this one'))
  await until('both have heard', () => heard.length > 0 && others.length > 0)
  expect([heard.length, others.length]).toEqual([1, 1])
  b.network.for('election test').onRequest(echo)
  await b.network.ready()
  await expect(a.port.request(b.address, bytes('?'), { timeoutMs: 5000 })).rejects.toMatchObject({
    code: 'MR_NETWORK',
    message: expect.stringContaining('nothing answers there'),
  })
})

describe('dropped and counted', () => {
  test('a datagram that is replayed, changed, of another key, of another fleet, or nonsense', async () => {
    const b = await node('b')
    const heard = ear(b)
    await b.network.ready()
    // Takes what is sent, and sends it again.
    const thief = createSocket('udp4')
    onTestFinished(() => void thief.close())
    const stolen: Buffer[] = []
    thief.on('message', (message) => void stolen.push(message))
    await new Promise<void>((resolve) => thief.bind(0, '127.0.0.1', resolve))
    const a = await node('a')
    await a.port.send(`127.0.0.1:${thief.address().port}`, bytes('secret'))
    await until('it is stolen', () => stolen.length > 0)
    const [real] = stolen
    const at = Number(b.address.split(':')[1])
    const changed = Buffer.from(real)
    changed[changed.length - 1] ^= 1
    for (const each of [real, real, changed, Buffer.from('nonsense'), Buffer.alloc(0), Buffer.alloc(1400)])
      thief.send(each, at, '127.0.0.1')
    const [key, fleet] = [await node('k', { keys: ['other'] }), await node('g', { fleet: 'g' })]
    await key.port.send(b.address, bytes('x'))
    await fleet.port.send(b.address, bytes('x'))
    await until('all have come', () => b.drops.length === 7)
    expect(heard).toEqual([['a', 'secret']])
    expect([...b.drops].sort()).toEqual(
      ['foreign', ...Array(4).fill('unproven'), 'replayed', 'unproven'].sort(),
    )
  })

  test('a datagram that is longer than any of ours, though it proves itself', async () => {
    const b = await node('b')
    const heard = ear(b)
    await b.network.ready()
    const self = { id: 'a', boot: 'boot-a' }
    const envelopes = new Envelopes({ fleet: 'f', self, keys: ['key'], wall: () => Date.now() })
    const socket = createSocket('udp4')
    onTestFinished(() => void socket.close())
    for (const length of [3000, 1200]) {
      const sealed = envelopes.seal('config-sync test message', Buffer.alloc(length, 'x'))
      socket.send(sealed, Number(b.address.split(':')[1]), '127.0.0.1')
    }
    await until('the shorter has come', () => heard.length > 0)
    expect([heard.length, heard[0][1].length, b.drops]).toEqual([1, 1200, ['malformed']])
  })

  test('a request of another key, and an answer that is not from the fleet', async () => {
    const [a, b] = [await node('a'), await node('b')]
    b.port.onRequest(echo)
    await b.network.ready()
    const stranger = await node('x', { keys: ['other'] })
    const why = 'it does not accept our messages'
    await expect(stranger.port.request(b.address, bytes('?'), { timeoutMs: 5000 })).rejects.toThrow(why)
    expect(b.drops).toEqual(['unproven'])
    const elsewhere = new Envelopes({
      fleet: 'f',
      self: { id: 'c', boot: 'x' },
      keys: ['key'],
      wall: Date.now,
    })
    const answers = [
      bytes('whatever'),
      elsewhere.seal('config-sync test message', bytes('meant for another')),
    ]
    for (const answer of answers) {
      const liar = createServer((request, response) => {
        request.resume()
        request.on('end', () => response.end(answer))
      })
      onTestFinished(() => void liar.close())
      await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve))
      const { port } = liar.address() as { port: number }
      const asked = a.port.request(`127.0.0.1:${port}`, bytes('?'), { timeoutMs: 5000 })
      await expect(asked).rejects.toThrow('does not prove itself')
    }
  })
})

describe('a request fails with MR_NETWORK', () => {
  test('when nobody is there, when there is no answer in time, when the handler throws, when it is given up', async () => {
    const [a, b] = [await node('a'), await node('b')]
    const nobody = `127.0.0.1:${await freeNodePort()}`
    const failure = { code: 'MR_NETWORK' }
    await expect(a.port.request(nobody, bytes('?'), { timeoutMs: 5000 })).rejects.toMatchObject(failure)
    let hang = true
    b.port.onRequest(() => {
      if (hang) return new Promise<Uint8Array>(() => {})
      throw new Error('broken')
    })
    await b.network.ready()
    const late = a.port.request(b.address, bytes('?'), { timeoutMs: 50 })
    await expect(late).rejects.toMatchObject({ ...failure, message: expect.stringContaining('within 50 ms') })
    const giveUp = new AbortController()
    const given = a.port.request(b.address, bytes('?'), { timeoutMs: 5000, signal: giveUp.signal })
    giveUp.abort(new Error('changed my mind'))
    await expect(given).rejects.toMatchObject({
      ...failure,
      message: expect.stringContaining('changed my mind'),
    })
    hang = false
    await expect(a.port.request(b.address, bytes('?'), { timeoutMs: 5000 })).rejects.toThrow('it answers 500')
  })

  test('and so does a datagram that is too long, or goes nowhere', async () => {
    const a = await node('a')
    await expect(a.port.send('127.0.0.1:9', Buffer.alloc(1201))).rejects.toThrow('expected 1200 at most')
    const long = a.port.request('127.0.0.1:9', Buffer.alloc(1024 * 1024 + 1), { timeoutMs: 5000 })
    await expect(long).rejects.toThrow('expected 1048576 at most')
    await expect(a.port.send('no address at all', bytes('x'))).rejects.toThrow('expected host:port')
  })
})

describe('without a key', () => {
  test('loopback addresses are taken, others are refused, to send to and to listen at', async () => {
    const [a, b] = [await node('a', { keys: [] }), await node('b', { keys: [] })]
    const heard = ear(b)
    await b.network.ready()
    await a.port.send(b.address, bytes('hello'))
    await until('b has heard', () => heard.length > 0)
    const refusal = { code: 'MR_NETWORK', message: expect.stringContaining('need a fleetKey') }
    await expect(a.port.send('192.0.2.1:9902', bytes('x'))).rejects.toMatchObject(refusal)
    await expect(a.port.request('lb-2.internal:9902', bytes('x'), { timeoutMs: 1 })).rejects.toMatchObject(
      refusal,
    )
    const open = await node('c', { keys: [], address: '0.0.0.0:9902' })
    open.port.onMessage(() => {})
    await expect(open.network.ready()).rejects.toMatchObject(refusal)
  })
})

test('a port that is taken is told, with where it stands in the config', async () => {
  const a = await node('a')
  const b = await node('b', { address: a.address })
  a.port.onMessage(() => {})
  a.port.onRequest(echo)
  await a.network.ready()
  b.port.onMessage(() => {})
  b.port.onRequest(echo)
  await expect(b.network.ready()).rejects.toMatchObject({ code: 'MR_LISTEN', path: 'node.advertise' })
})
