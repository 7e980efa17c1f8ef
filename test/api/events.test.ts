/** `/v1/events` on real sockets: what is told, what a listener who comes back is told, and who is not waited for. */
import { connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EventHub } from '../../core/api/event-hub.ts'
import { encodeOverrides, noOverrides, overridesDocument } from '../../core/config/overrides.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime } from '../conformance/time.ts'
import { until } from '../harness/until.ts'
import { testLog } from '../threads/fixtures/server.ts'
import { Ear } from './ear.ts'
import { apiOf, config, tokens } from './harness.ts'

test('revisions, overrides, and what nodes serve and refuse, in order', async () => {
  const api = await apiOf()
  await api.put(config())
  const ear = await new Ear().open(api)
  await api.put(config([]), 'nobody is left')
  await until('the revision is told', () => ear.events.length === 1)
  expect(ear.events[0]).toMatchObject({
    event: 'config',
    data: { revision: 2, by: 'admin', message: 'nobody is left' },
  })
  await api.ask('PUT', '/v1/services/shop/breaker', { body: { mode: 'open', reason: 'x' } })
  await until('the overrides are told', () => ear.events.length === 2)
  expect(ear.events[1]).toMatchObject({
    event: 'overrides',
    data: { revision: 1, by: 'admin', breakers: [{ service: 'shop', mode: 'open' }], drains: [] },
  })
  const record = (nack: unknown) =>
    Buffer.from(
      JSON.stringify({ id: 'lb-1', config: { applied: { number: 1, id: 'a' }, from: 'store', nack } }),
    )
  const put = await api.store.put('node/lb-1', record(null), null, 'write-1-0123456789', { by: 'lb-1' })
  await until('the node is told', () => ear.events.length === 3)
  expect(ear.events[2]).toMatchObject({ event: 'node', data: { node: 'lb-1', applied: { number: 1 } } })
  if (put.status !== 'committed') throw new Error(put.status)
  const nack = { number: 2, id: 'b', code: 'MR_CONFIG_INVALID', reason: 'bad' }
  await api.store.put('node/lb-1', record(nack), put.revision, 'write-2-0123456789', { by: 'lb-1' })
  await until('the refusal is told', () => ear.events.length === 4)
  expect(ear.events[3]).toMatchObject({ event: 'nack', data: { node: 'lb-1', nack } })
})

test('a listener who comes back hears what came meanwhile; one from elsewhere is told to read anew', async () => {
  const api = await apiOf()
  await api.put(config())
  const first = await new Ear().open(api)
  const other = await new Ear().open(api)
  await api.put(config([]))
  await until('both have heard', () => first.events.length === 1 && other.events.length === 1)
  first.close()
  await api.put(config())
  await until('the other has heard', () => other.events.length === 2)
  const again = await new Ear().open(api, first.events[0]?.id)
  await until('it hears what it has missed', () => again.events.length === 1)
  expect(again.events[0]).toEqual(other.events[1])
  const stranger = await new Ear().open(api, 'ffff-7')
  await until('it is told', () => stranger.events.length === 1)
  expect(stranger.events[0]).toMatchObject({ event: 'reset' })
  const nonsense = await new Ear().open(api, 'x')
  await until('it is told', () => nonsense.events[0]?.event === 'reset')
})

test('a reader who does not read is dropped, and the others are not kept waiting', async () => {
  const api = await apiOf()
  await api.put(config())
  const ear = await new Ear().open(api)
  const slow: Socket = connect(api.server.port, api.server.address)
  onTestFinished(() => void slow.destroy())
  let closed = false
  slow.on('close', () => {
    closed = true
  })
  slow.on('data', () => {})
  slow.pause()
  slow.on('error', () => {})
  slow.write(`GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.read}\r\n\r\n`)
  await until('both are listened to', () => slow.bytesWritten > 0)
  // Each event holds all decisions, 100 KB: soon more than the buffers of the system, and those of this process.
  const backends = Array.from({ length: 100 }, (_, n) => `http://127.0.0.1:${9300 + n}`)
  await api.put(config(backends))
  const reason = 'x'.repeat(1000)
  const breakers = backends.map((backend) => ({
    ...{
      service: 'shop',
      backend,
      mode: 'open' as const,
      reason,
      actor: 'ann',
      since: '2026-01-01T00:00:00.000Z',
    },
  }))
  await api.store.put(
    overridesDocument,
    encodeOverrides({ ...noOverrides, breakers }),
    null,
    'write-many-0123456789',
    {
      by: 'ann',
    },
  )
  const heard = (revision: number) =>
    until('the other hears it', () =>
      ear.events.some(({ event, data }) => event === 'overrides' && data.revision === revision),
    )
  await heard(1)
  for (let revision = 2; revision <= 250; revision++) {
    const body = { mode: 'open', backend: backends[0], reason: `${revision} ${reason.slice(10)}` }
    await api.ask('PUT', '/v1/services/shop/breaker', { body })
    await heard(revision)
  }
  expect(ear.ended).toBe(false)
  slow.resume()
  await until('it is closed', () => closed)
  expect(slow.bytesRead).toBeLessThan(ear.length)
})

test('a listener who has missed more than may wait is told to read anew, and then hears what comes', async () => {
  const api = await apiOf()
  await api.put(config())
  const [first, other] = [await new Ear().open(api), await new Ear().open(api)]
  await api.put(config([]))
  await until('both have heard', () => first.events.length === 1 && other.events.length === 1)
  first.close()
  // Each holds all decisions: 100 KB.
  const decided = Array.from({ length: 100 }, (_, n) => ({
    ...{ service: 'shop', backend: `http://127.0.0.1:${9300 + n}`, mode: 'open' as const, actor: 'ann' },
    ...{ reason: 'x'.repeat(1000), since: '2026-01-01T00:00:00.000Z' },
  }))
  for (const n of [0, 1, 2]) {
    const head = await api.store.get(overridesDocument, { fresh: true })
    const value = encodeOverrides({ ...noOverrides, breakers: decided.slice(n) })
    await api.store.put(overridesDocument, value, head?.revision ?? null, `write-${n}-0123456789`, {
      by: 'ann',
    })
    await until('the other hears it', () => other.events.length === 2 + n)
  }
  expect(other.length).toBeGreaterThan(256 * 1024)
  const again = await new Ear().open(api, first.events[0]?.id)
  await until('it is told', () => again.events.length === 1)
  expect(again.events[0]).toMatchObject({ event: 'reset', id: other.events.at(-1)?.id })
  await api.put(config())
  await until('it hears what comes', () => again.events.length === 2)
  expect(again.events[1]).toMatchObject({ event: 'config', data: { revision: 3 } })
  expect(again.ended).toBe(false)
  // A part of it that is short enough is heard as it was.
  const short = await new Ear().open(api, other.events[2]?.id)
  await until('it hears what it has missed', () => short.events.length === 2)
  expect(short.events.map(({ event }) => event)).toEqual(['overrides', 'config'])
})

test('a comment every 15 s says that the connection lives; none is sent to one that has left', async () => {
  const time = new FakeTime()
  const api = await apiOf({ clock: time.clock() })
  const [ear, other] = [await new Ear().open(api), await new Ear().open(api)]
  await time.advanceAsync(31_000)
  await until('two have come to each', () => ear.heartbeats === 2 && other.heartbeats === 2)
  // While the hub asks the store it has no timer.
  await until('two heartbeats and the next look are planned', () => time.timers === 3)
  ear.close()
  await until('its heartbeat has ended', () => time.timers === 2)
})

test('a hundred may listen; the next is told to come later', async () => {
  const api = await apiOf()
  await api.put(config())
  const sockets = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = connect(api.server.port, api.server.address)
      onTestFinished(() => void socket.destroy())
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      socket.write(
        `GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.read}\r\n\r\n`,
      )
      await until('it listens', () => text.includes('from here on'))
      return socket
    }),
  )
  expect(await api.ask('GET', '/v1/events')).toMatchObject({ status: 503, body: { code: 'MR_OVERLOADED' } })
  sockets[0]?.destroy()
  const left = await new Promise<boolean>((resolve) => {
    const look = async (): Promise<void> => {
      const response = await fetch(`${api.server.url}/v1/events`, {
        headers: { authorization: `Bearer ${tokens.read}` },
      })
      const { status } = response
      await response.body?.cancel()
      if (status === 200) resolve(true)
      else setImmediate(() => void look())
    }
    void look()
  })
  expect(left).toBe(true)
})

test('streams that were asked for behind another on one connection hold no place, neither then nor when it is closed', async () => {
  const api = await apiOf()
  await api.put(config())
  const socket = connect(api.server.port, api.server.address)
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const request = `GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.read}\r\n\r\n`
  socket.write(request.repeat(150))
  await until('the first has begun', () => text.includes('from here on'))
  await new Ear().open(api)
  socket.destroy()
  await new Ear().open(api)
})

describe('the hub', () => {
  const begin = async () => {
    const time = new FakeTime()
    const data = new MemoryStore(time)
    const client = data.client()
    const { log } = testLog()
    const hub = new EventHub({ store: client, clock: time.clock(), log, id: 'hub' })
    let n = 0
    const put = async (document: string, message = ''): Promise<void> => {
      const head = await data.client().get(document)
      await data
        .client()
        .put(document, Buffer.from('{}'), head?.revision ?? null, `write-${++n}`, { by: 'test', message })
    }
    await put('config')
    const heard: string[] = []
    const listen = async (last?: string) =>
      hub.subscribe(last, ({ id, event }) => void heard.push(`${event} ${id}`))
    return { time, client, hub, put, heard, listen }
  }

  test('reads the store while somebody listens, and a while longer, then no more', async () => {
    const { time, hub, put, heard, listen } = await begin()
    expect(time.timers).toBe(0)
    const one = await listen()
    await put('config')
    await time.advanceAsync(100)
    expect(heard).toEqual(['config hub-1'])
    one.close()
    await put('config')
    await time.advanceAsync(30_000)
    const again = await listen('hub-1')
    expect(heard).toEqual(['config hub-1', 'config hub-2'])
    again.close()
    await time.advanceAsync(120_000)
    expect(time.timers).toBe(0)
    await put('config')
    const late = await listen('hub-2')
    expect(heard.at(-1)).toMatch(/^reset /)
    late.close()
    hub.stop()
    expect(time.timers).toBe(0)
  })

  test('a store that is away for a while costs no event', async () => {
    const { time, client, hub, put, heard, listen } = await begin()
    await listen()
    client.cut = true
    await put('config')
    await time.advanceAsync(60_000)
    expect(heard).toEqual([])
    client.cut = false
    await time.advanceAsync(20_000)
    expect(heard).toEqual(['config hub-1'])
    hub.stop()
  })

  test('keeps no more than may be sent to one who comes back', async () => {
    const { time, hub, put, heard, listen } = await begin()
    await listen()
    for (let n = 0; n < 300; n++) {
      await put('config', 'x'.repeat(1000))
      await time.advanceAsync(30)
    }
    expect(heard.at(-1)).toBe('config hub-300')
    await listen('hub-1')
    expect(heard.slice(300)).toEqual(['reset hub-300'])
    await listen('hub-299')
    expect(heard.slice(301)).toEqual(['config hub-300'])
    hub.stop()
  })

  test('hints that do not end put no event off', async () => {
    const { time, hub, put, heard, listen } = await begin()
    await listen()
    await time.advanceAsync(1000)
    for (let n = 0; n < 20; n++) {
      await put(n === 0 ? 'config' : 'other')
      await time.advanceAsync(10)
    }
    expect(heard).toEqual(['config hub-1'])
    hub.stop()
  })
})
