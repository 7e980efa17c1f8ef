import { describe, expect, test } from 'vitest'
import { begin, following } from './fixture.ts'
import { reconcileMs } from './world.ts'

describe('what is served', () => {
  test('an unchanged config is a no-op', async () => {
    const { world, node } = await following()
    node.engine?.bus('down')
    await world.pass(30_000)
    expect(node.served).toHaveLength(1)
    expect(world.data.documents.get('node/lb-0')?.history).toHaveLength(1)
  })

  test('a bad config never replaces a good one; the refusal is in the log, the state and the record', async () => {
    const { world, node } = await following()
    const bad = await world.put({ n: 2, bad: true })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 1 })
    expect(node.state.nack).toMatchObject({ number: 2, id: bad.id, code: 'MR_CONFIG_INVALID' })
    expect(node.lines('error')[0]).toContain('MR_CONFIG_INVALID 2 is bad')
    expect(node.record).toMatchObject({
      config: { applied: { number: 1 }, nack: { number: 2, reason: 'MR_CONFIG_INVALID 2 is bad' } },
    })
    expect(node.disk.saved[0].revision.number).toBe(1)
    await world.put({ n: 3 })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 3 })
    expect(node.state).toMatchObject({ nack: undefined, lastNack: 2 })
    await world.pass(300)
    expect(node.record).toMatchObject({ config: { applied: { number: 3 }, nack: null } })
  })

  test('a bad head is not tried again with each look', async () => {
    const { world, node } = await following()
    await world.put({ n: 2, bad: true })
    node.engine?.bus('down')
    await world.pass(30_000)
    expect(node.lines('error')).toHaveLength(1)
    node.engine?.retry()
    await world.pass(100)
    expect(node.lines('error')).toHaveLength(2)
  })

  test('a retry that comes while a config is being refused is not lost', async () => {
    const { world, node } = await following()
    node.takesMs = 20
    await world.put({ n: 2, bad: true })
    // The read is answered, the threads are asked.
    await world.pass(10)
    node.engine?.retry()
    await world.pass(100)
    expect(node.lines('error')).toHaveLength(2)
  })

  test('what threads could not take for a reason of their own is tried again', async () => {
    const { world, node } = await following()
    node.refuses = [{ status: 'refused', problems: [{ code: 'MR_LISTEN', message: 'the port is taken' }] }]
    await world.put({ n: 2 })
    await world.pass(50)
    expect(node.state.nack?.code).toBe('MR_LISTEN')
    await world.pass(2500)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.nack).toBeUndefined()
  })

  test('what stood in the way for long is tried at once when the node’s own half has changed', async () => {
    const { world, node } = await following()
    const taken = {
      status: 'refused',
      problems: [{ code: 'MR_LISTEN', message: 'the port is taken' }],
    } as const
    node.refuses = Array.from({ length: 100 }, () => taken)
    await world.put({ n: 2 })
    await world.pass(60_000)
    expect(node.serves).toEqual({ n: 1 })
    node.refuses = []
    node.engine?.retry()
    await world.pass(100)
    expect(node.serves).toEqual({ n: 2 })
  })

  test('a config that ends the threads that take it is given up', async () => {
    const { world, node } = await following()
    const died = { status: 'refused', problems: [{ code: 'MR_THREAD', message: 'died' }] } as const
    node.refuses = [died, died, died, died, died]
    await world.put({ n: 2 })
    await world.pass(120_000)
    expect(node.refuses).toHaveLength(2)
    expect(node.serves).toEqual({ n: 1 })
  })

  test('a schema newer than known is refused', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 }, { schema: 2 })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 1 })
    expect(node.state.nack).toMatchObject({ number: 2, code: 'MR_STORE_DATA' })
    expect(node.state.nack?.reason).toContain('schema 2')
  })

  test('bytes that are no config are refused', async () => {
    const { world, node } = await following()
    const { revision } = world.head ?? {}
    await world.data.client().put('config', Buffer.from('{oops'), revision ?? null, 'x', { by: 'test' })
    node.hint()
    await world.pass(50)
    expect(node.state.nack).toMatchObject({ number: 2, code: 'MR_STORE_DATA' })
  })

  test('empty is valid: no bytes, an empty map and a removed document are served', async () => {
    const { world, node } = await following()
    await world.put({})
    await world.pass(50)
    await world.put(null)
    await world.pass(50)
    expect(node.served).toEqual([{ n: 1 }, {}, {}])
    expect(node.state.applied?.number).toBe(3)
  })

  test('a disk that is full is told, and the config is served', async () => {
    const { world, node } = await following()
    node.disk.full = true
    await world.put({ n: 2 })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.notKept).toContain('no space left')
  })

  test('a record that the store has lost, or that somebody has removed, is written again', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 })
    await world.pass(500)
    const history = () => world.data.documents.get('node/lb-0')?.history ?? []
    // As by a replica that lags and is promoted: it has the config, and not what the node said of it.
    history().shift()
    expect(node.record).toMatchObject({ config: { applied: { number: 1 } } })
    await world.pass(3 * reconcileMs)
    expect(node.record).toMatchObject({ config: { applied: { number: 2 } } })
    await world.data.client().put('node/lb-0', null, history()[0].revision, 'removed', { by: 'test' })
    expect(node.record).toBeUndefined()
    await world.pass(3 * reconcileMs)
    expect(node.record).toMatchObject({ id: 'lb-0', config: { applied: { number: 2 } } })
    // What stands there is not written again.
    const { length } = history()
    await world.pass(10 * reconcileMs)
    expect(history()).toHaveLength(length)
  })

  test('an answer that was lost leaves one record, not two', async () => {
    const { world, node } = await following()
    const records = world.data.documents.get('node/lb-0')?.history.length ?? 0
    node.losesAnswers = true
    await world.put({ n: 2 })
    await world.pass(340)
    node.losesAnswers = false
    await world.pass(20_000)
    expect(node.record).toMatchObject({ config: { applied: { number: 2 } } })
    expect(world.data.documents.get('node/lb-0')?.history.length).toBeLessThanOrEqual(records + 2)
  })
})

describe('the store is away', () => {
  test('what is served stays, and what was written meanwhile is served when it is back', async () => {
    const { world, node } = await following()
    node.engine?.bus('down')
    world.down = true
    await world.pass(60_000)
    expect(node.serves).toEqual({ n: 1 })
    expect(node.state).toMatchObject({ reachable: false, empty: false })
    expect(node.lines('warn')).toHaveLength(1)
    await world.put({ n: 2 }, { hint: false })
    world.down = false
    await world.pass(1000)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state).toMatchObject({ reachable: true, failure: undefined })
  })

  test('a hint whose read failed is not lost', async () => {
    const { world, node } = await following()
    node.cut = true
    node.engine?.hint('config', await world.put({ n: 2 }))
    await world.pass(300)
    node.cut = false
    await world.pass(1000)
    expect(node.serves).toEqual({ n: 2 })
  })

  test('at the start last-known-good is served at once', async () => {
    const { world, node } = await following()
    world.down = true
    await node.engine?.stop()
    node.served.length = 0
    void node.start()
    await world.pass(50)
    expect(node.serves).toEqual({ n: 1 })
    expect(node.state).toMatchObject({ from: 'last-known-good', reachable: false })
    world.down = false
    await world.pass(2000)
    expect(node.state.from).toBe('store')
    expect(node.served).toHaveLength(1)
  })

  test('at the start a store that hangs delays last-known-good by 200 ms', async () => {
    const { world, node } = await following()
    node.hangs = true
    await node.engine?.stop()
    node.served.length = 0
    void node.start()
    await world.pass(190)
    expect(node.serves).toBeUndefined()
    await world.pass(20)
    expect(node.serves).toEqual({ n: 1 })
  })

  test('last-known-good that cannot be used falls back to the one before', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 })
    await world.pass(50)
    world.down = true
    await node.engine?.stop()
    node.served.length = 0
    node.refuses = [{ status: 'refused', problems: [{ code: 'MR_PLUGIN_UNKNOWN', message: 'gone' }] }]
    void node.start()
    await world.pass(50)
    expect(node.serves).toEqual({ n: 1 })
    expect(node.state.applied?.number).toBe(1)
  })

  test('last-known-good that a taken port keeps from being served is served as soon as the port is free', async () => {
    const { world, node } = await following()
    world.down = true
    await node.engine?.stop()
    node.served.length = 0
    const taken = {
      status: 'refused',
      problems: [{ code: 'MR_LISTEN', message: 'the port is taken' }],
    } as const
    node.refuses = [taken, taken, taken]
    void node.start()
    await world.pass(500)
    expect(node.serves).toBeUndefined()
    await world.pass(5000)
    expect(node.serves).toEqual({ n: 1 })
    expect(node.state).toMatchObject({ from: 'last-known-good', reachable: false })
    await world.pass(60_000)
    expect(node.served).toHaveLength(1)
  })

  test('last-known-good that the node’s own half kept from being served is served when that has changed', async () => {
    const { world, node } = await following()
    world.down = true
    await node.engine?.stop()
    node.served.length = 0
    node.refuses = [{ status: 'refused', problems: [{ code: 'MR_PLUGIN_UNKNOWN', message: 'gone' }] }]
    void node.start()
    await world.pass(60_000)
    expect(node.serves).toBeUndefined()
    node.engine?.retry()
    await world.pass(100)
    expect(node.serves).toEqual({ n: 1 })
  })

  test('without last-known-good nothing is served until the store comes', async () => {
    const world = begin()
    await world.put({ n: 1 })
    world.down = true
    const node = world.node()
    void node.start()
    await world.pass(30_000)
    expect(node.state).toMatchObject({ applied: undefined, reachable: false, empty: false })
    world.down = false
    await world.pass(1000)
    expect(node.serves).toEqual({ n: 1 })
  })

  test('a store in which nothing was ever written is not an unreachable one, and no config', async () => {
    const world = begin()
    const node = world.node()
    void node.start()
    await world.pass(5000)
    expect(node.state).toMatchObject({ applied: undefined, reachable: true, empty: true })
    await world.put({ n: 1 })
    await world.pass(300)
    expect(node.serves).toEqual({ n: 1 })
    expect(node.state.empty).toBe(false)
  })
})
