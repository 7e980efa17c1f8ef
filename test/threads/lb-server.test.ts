import { describe, expect, test } from 'vitest'
import { startLbServer } from '../../core/threads/lb-server.ts'
import { until } from '../harness/until.ts'
import { configOf, oneListener, pool } from './fixtures/configs.ts'
import { Client, clientOfEach, refused, start, testLog } from './fixtures/server.ts'

describe('start', () => {
  test('serves on every data thread, all with the same ticket keys', async () => {
    const started = await start({ threads: 2 })
    const clients = await clientOfEach(started, 2)
    const replies = await Promise.all(clients.map((client) => client.ask()))
    expect(replies.map(({ thread, revision }) => ({ thread, revision }))).toEqual([
      { thread: 0, revision: 1 },
      { thread: 1, revision: 1 },
    ])
    expect(replies[0].ticketKeys).toMatch(/^[0-9a-f]{96}$/)
    expect(replies[1].ticketKeys).toBe(replies[0].ticketKeys)
    expect(started.server.readiness().every(({ ready }) => ready)).toBe(true)
  })

  test('rejects with the reason of a thread that cannot start', async () => {
    const config = await configOf({})
    const starting = startLbServer({
      config,
      log: testLog().log,
      builtinsUrl: new URL('../../plugins/manifest.ts', import.meta.url),
      dataPlaneUrl: new URL('./fixtures/none.ts', import.meta.url),
    })
    await expect(starting).rejects.toMatchObject({
      code: 'MR_THREAD',
      message: expect.stringContaining('none.ts'),
    })
  })

  test('rejects with the reason of a thread that refuses the config', async () => {
    await expect(start({ services: { refuse: pool() } })).rejects.toMatchObject({
      code: 'MR_PLUGIN_CREATE',
      message: expect.stringContaining('told to refuse'),
    })
  })
})

describe('apply', () => {
  test('brings a change to all threads; an unchanged service keeps its identity', async () => {
    const started = await start({ threads: 2, services: { one: pool(), two: pool() } })
    const clients = await clientOfEach(started, 2)
    const result = await started.server.apply(
      await configOf({ services: { one: pool(), two: pool(3), three: pool() } }),
    )
    expect(result).toEqual({ status: 'applied', revision: 2, problems: [] })
    for (const client of clients) {
      const reply = await client.ask()
      expect(reply.revision).toBe(2)
      expect(reply.services.toSorted()).toEqual(['one', 'three', 'two'])
      expect(reply.identical).toEqual(['one'])
    }
  })

  test('says that nothing has changed', async () => {
    const { server } = await start({ services: { one: pool() } })
    expect(await server.apply(await configOf({ services: { one: pool() } }))).toMatchObject({
      status: 'unchanged',
      revision: 1,
    })
  })

  test('changes nothing when one thread of two refuses', async () => {
    const started = await start({ threads: 2 })
    const clients = await clientOfEach(started, 2)
    const used = started.server.usage
    const result = await started.server.apply(
      await configOf({ services: { app: pool(4), 'refuse-1': pool() } }),
    )
    expect(result).toMatchObject({
      status: 'refused',
      revision: 1,
      problems: [{ code: 'MR_PLUGIN_CREATE', message: 'told to refuse', path: 'services.refuse' }],
    })
    for (const client of clients) expect(await client.ask()).toMatchObject({ revision: 1, services: ['app'] })
    await until('the slots are given back', () => started.server.usage.slots === used.slots)
    expect((await started.server.apply(await configOf({ services: { app: pool(4) } }))).status).toBe(
      'applied',
    )
  })

  test('of changes that wait, does only the newest', async () => {
    const started = await start({})
    const configs = await Promise.all([2, 3, 4].map((count) => configOf({ services: { app: pool(count) } })))
    const results = await Promise.all(configs.map((config) => started.server.apply(config)))
    expect(results.map(({ status }) => status)).toEqual(['applied', 'superseded', 'applied'])
    expect((await (await Client.to(started.port)).ask()).slots.app).toHaveLength(4)
  })

  test('a hundred changes use no more slots than the largest config needs', async () => {
    const started = await start({ threads: 2 })
    const configs = await Promise.all(
      ['a', 'b'].map((name) => configOf({ services: { app: pool(), [name]: pool(10) } })),
    )
    for (let round = 0; round < 6; round++) await started.server.apply(configs[round % 2])
    await until('old slots are free', () => started.server.usage.waiting === 0)
    const { arenaBytes } = started.server.usage
    for (let round = 0; round < 100; round++) {
      expect((await started.server.apply(configs[round % 2])).status).toBe('applied')
    }
    await until('old slots are free', () => started.server.usage.waiting === 0)
    expect(started.server.usage).toMatchObject({ slots: 11, services: 2 })
    // What waits to be released at any moment is a matter of timing: a few changes' worth, not a hundred.
    expect(started.server.usage.arenaBytes - arenaBytes).toBeLessThanOrEqual(8 * 10 * 192)
  })

  test('a slot is not reused while a thread holds the old snapshot', async () => {
    const started = await start({ threads: 2, services: { app: pool(), old: pool(1) } })
    const [first, second] = await clientOfEach(started, 2)
    const old = (await first.ask('hold')).slots.old[0]
    await started.server.apply(await configOf({ services: { app: pool() } }))
    await started.server.apply(await configOf({ services: { app: pool(), next: pool(5) } }))
    expect((await second.ask()).slots.next).not.toContain(old)
    expect(started.server.usage.waiting).toBe(1)
    await first.ask('let-go')
    await until('the slot is free', () => started.server.usage.waiting === 0)
    await started.server.apply(await configOf({ services: { app: pool(), next: pool(6) } }))
    expect((await second.ask()).slots.next).toContain(old)
  })

  test('a listener on port 0 keeps its port; new ones open, old ones close', async () => {
    const started = await start({ threads: 2 })
    const both = { web: { address: '127.0.0.1:0' }, more: { address: '127.0.0.1:0' } }
    await started.server.apply(await configOf({ listeners: both }))
    const [web, more] = started.server.listeners
    expect(web.port).toBe(started.port)
    expect((await (await Client.to(more.port)).ask()).revision).toBe(2)
    await started.server.apply(await configOf({}))
    await refused(more.port)
  })
})

describe('a data thread that dies', () => {
  test.each([
    'die',
    'exit',
    'reject',
  ])('(%s) is replaced, and the others keep their connections', async (how) => {
    const started = await start({ threads: 2 })
    const [first, second] = await clientOfEach(started, 2)
    await started.server.apply(await configOf({ services: { app: pool(2) } }))
    first.socket.write(`${how}\n`)
    await first.closed
    await until('the thread is back', () => {
      const [state] = started.server.threads
      return state.restarts === 1 && state.status === 'serving'
    })
    expect(await second.ask()).toMatchObject({ thread: 1, revision: 2 })
    const [again] = await clientOfEach(started, 2)
    expect(await again.ask()).toMatchObject({ thread: 0, revision: 2, services: ['app'] })
    if (how !== 'exit') {
      const line = started.log.find(({ message }) => message.includes('uncaught'))
      expect(line?.fields.stack).toContain('fake-plane.ts')
    }
  })

  test('leaves no counts in its rows', async () => {
    const started = await start({ threads: 1 })
    const client = await Client.to(started.port)
    await client.ask('busy')
    expect(started.server.services()[0].backends[0].inFlight).toBe(7)
    await started.server.killThread(0)
    expect(started.server.services()[0].backends[0].inFlight).toBe(0)
  })

  test('again and again fails readiness, and is forgiven when another config serves', async () => {
    const started = await start({ threads: 1 })
    for (let deaths = 1; deaths <= 4; deaths++) {
      await until('it serves', () => started.server.threads[0].status === 'serving')
      await started.server.killThread(0)
    }
    const entry = started.server.readiness().find(({ name }) => name === 'threads')
    expect(entry).toMatchObject({ ready: false, detail: expect.stringContaining('keeps dying') })
    expect((await started.server.apply(await configOf({ services: { app: pool(2) } }))).status).toBe(
      'applied',
    )
    expect(await (await Client.to(started.port)).ask()).toMatchObject({ revision: 2 })
  })

  test('while it prepares: nothing changes, and the fleet stays whole', async () => {
    const started = await start({ threads: 2 })
    const result = await started.server.apply(
      await configOf({ services: { app: pool(2), 'die-in-prepare-1': pool() } }),
    )
    expect(result).toMatchObject({ status: 'refused', problems: [{ code: 'MR_THREAD' }] })
    await until('both serve', () => started.server.threads.every(({ status }) => status === 'serving'))
    const replies = await Promise.all((await clientOfEach(started, 2)).map((client) => client.ask()))
    expect(replies.map(({ revision }) => revision)).toEqual([1, 1])
  })

  test('by chance while it prepares: the change is tried once more and applied', async () => {
    const started = await start({ threads: 2 })
    const services = { app: pool(2), 'die-once-1': pool() }
    expect((await started.server.apply(await configOf({ services }))).status).toBe('applied')
    const replies = await Promise.all((await clientOfEach(started, 2)).map((client) => client.ask()))
    expect(replies.map(({ revision }) => revision)).toEqual([2, 2])
    expect(started.server.threads.map(({ restarts }) => restarts)).toEqual([0, 1])
  })

  test('when it commits: its successor starts from the committed config', async () => {
    const started = await start({ threads: 2 })
    const services = { app: pool(2), 'die-in-commit-1': pool() }
    expect((await started.server.apply(await configOf({ services }))).status).toBe('applied')
    await until('both serve', () => started.server.threads.every(({ status }) => status === 'serving'))
    const replies = await Promise.all((await clientOfEach(started, 2)).map((client) => client.ask()))
    expect(replies.map(({ revision }) => revision)).toEqual([2, 2])
    expect(started.server.threads.map(({ restarts }) => restarts)).toEqual([0, 1])
  })
})

describe('drain', () => {
  test('says so, finishes what is in flight, closes idle connections, then ends', async () => {
    const started = await start({ threads: 2, drain: { delay: '60s', timeout: '20s' } })
    const [first, second] = await clientOfEach(started, 2)
    await first.ask('begin')
    const drained = started.server.drain()
    expect(started.server.readiness().find(({ name }) => name === 'drain')?.ready).toBe(false)
    // During the delay it still accepts.
    expect(await (await Client.to(started.port)).ask()).toMatchObject({ draining: true })
    void started.server.drain({ skipDelay: true })
    await second.closed
    await refused(started.port)
    await first.ask('end')
    expect(await drained).toBe(true)
    await first.closed
  })

  test('nothing listens again once the listeners have closed: not for a new config, not in a new thread', async () => {
    const started = await start({ threads: 2, drain: { delay: '0s', timeout: '20s' } })
    const [first] = await clientOfEach(started, 2)
    await first.ask('begin')
    await started.server.killThread(1)
    const drained = started.server.drain()
    await refused(started.port)
    const listeners = { ...oneListener, other: { address: '127.0.0.1:0' } }
    const result = await started.server.apply(await configOf({ listeners }))
    expect(result).toMatchObject({
      status: 'refused',
      revision: 1,
      problems: [{ message: expect.stringContaining('draining') }],
    })
    expect(started.server.listeners).toHaveLength(1)
    await refused(started.port)
    await first.ask('end')
    expect(await drained).toBe(true)
  })

  test('cuts off at the timeout', async () => {
    const started = await start({ drain: { delay: '0s', timeout: '50ms' } })
    const client = await Client.to(started.port)
    await client.ask('begin')
    expect(await started.server.drain()).toBe(false)
    await client.closed
  })
})

test('what a thread logs arrives with its index, errors as text', async () => {
  const started = await start({})
  await (await Client.to(started.port)).ask('log')
  const line = await until('the line is there', () =>
    started.log.find(({ message }) => message.startsWith('hello')),
  )
  expect(line).toMatchObject({
    level: 'warn',
    fields: { thread: 0, error: expect.stringContaining('a cause') },
  })
})
