import { describe, expect, test } from 'vitest'
import { begin, following } from './fixture.ts'
import { reconcileMs } from './world.ts'

describe('hints', () => {
  test('a hint is read, served, kept and acknowledged', async () => {
    const { world, node } = await following()
    const revision = await world.put({ n: 2 })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.applied).toEqual({ lineage: 'lineage-1', number: 2, id: revision.id })
    expect(node.disk.saved[0].revision.number).toBe(2)
    await world.pass(300)
    expect(node.record).toMatchObject({
      id: 'lb-0',
      boot: 'boot-1',
      config: { schema: 1, applied: { number: 2, id: revision.id }, nack: null, fork: null },
    })
  })

  test('what others wrote into the record of the node stays in it', async () => {
    const { world, node } = await following()
    const client = world.data.client()
    const head = world.data.documents.get('node/lb-0')?.history[0].revision ?? null
    await client.put('node/lb-0', Buffer.from('{"zone":"a"}'), head, 'other', { by: 'test' })
    await world.put({ n: 2 })
    await world.pass(400)
    expect(node.record).toMatchObject({ zone: 'a', config: { applied: { number: 2 } } })
  })

  test('an ACK leaves the store to those that wait for the change, and of several only the last is written', async () => {
    const { world, node } = await following()
    const written = () => world.data.documents.get('node/lb-0')?.history.length
    for (const n of [2, 3, 4]) {
      await world.put({ n })
      await world.pass(20)
    }
    expect(node.serves).toEqual({ n: 4 })
    expect([written(), node.record?.config.applied]).toEqual([1, expect.objectContaining({ number: 1 })])
    await world.pass(300)
    expect([written(), node.record?.config.applied]).toEqual([2, expect.objectContaining({ number: 4 })])
  })

  test('where the store tells the lineage with the document a change is one read', async () => {
    const { world, node } = await following()
    node.tellsLineage = true
    const { reads } = node.state
    await world.put({ n: 2 })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.applied?.lineage).toBe('lineage-1')
    expect(node.state.reads - reads).toBe(1)
  })

  test('a read that does not show what was hinted at is made again, for what the store holds now', async () => {
    const { world, node } = await following()
    node.lagging = world.head
    await world.put({ n: 2 })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.fork).toBeUndefined()
  })

  test('a hint that does not lie ahead may be a fork: a replica that lags does not hide it', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 })
    await world.pass(50)
    node.lagging = world.head
    world.fork(1)
    await world.put({ n: 20 })
    await world.pass(50)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.fork).toBeDefined()
  })

  test('doubled and reordered hints cost no further read, and nothing goes back', async () => {
    const { world, node } = await following()
    const second = await world.put({ n: 2 })
    await world.pass(50)
    const third = await world.put({ n: 3 })
    await world.pass(50)
    const reads = node.state.reads
    for (let time = 0; time < 5; time++) for (const hint of [third, second, third]) node.hint(hint)
    await world.pass(500)
    expect(node.served.map(({ n }) => n)).toEqual([1, 2, 3])
    expect(node.state.reads).toBe(reads)
  })

  test('hints that come while one is read are one more read, not one each', async () => {
    const { world, node } = await following()
    const reads = node.state.reads
    for (let n = 2; n <= 20; n++) await world.put({ n })
    await world.pass(200)
    expect(node.serves).toEqual({ n: 20 })
    expect(node.state.reads - reads).toBeLessThan(12)
  })

  test('a lost hint costs no longer than a reconcile', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 }, { hint: false })
    await world.pass(5000)
    expect(node.serves).toEqual({ n: 1 })
    await world.pass(reconcileMs * 1.25)
    expect(node.serves).toEqual({ n: 2 })
  })

  test('a hint without a revision is a read', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 }, { hint: false })
    node.hint()
    await world.pass(50)
    expect(node.serves).toEqual({ n: 2 })
  })

  test('a forged hint changes nothing and costs a few reads', async () => {
    const { world, node } = await following()
    const { applied, reads } = node.state
    node.hint({ number: 99, id: 'forged' })
    await world.pass(5000)
    expect(node.state.applied).toEqual(applied)
    expect(node.state.reads - reads).toBeLessThan(15)
    expect(node.state.fork).toBeUndefined()
  })

  test('a flood of forged hints neither floods the store nor keeps a true one out', async () => {
    const { world, node } = await following()
    const { reads } = node.state
    for (let number = 100; number < 600; number++) {
      node.hint({ number, id: 'forged' })
      await world.pass(10)
    }
    expect(node.state.reads - reads).toBeLessThan(80)
    await world.put({ n: 2 })
    for (let number = 600; number < 640; number++) {
      node.hint({ number, id: 'forged' })
      await world.pass(10)
    }
    expect(node.serves).toEqual({ n: 2 })
  })

  test('hints for other documents are ignored', async () => {
    const { world, node } = await following()
    const { reads } = node.state
    node.engine?.hint('overrides', { number: 4, id: 'x' })
    await world.pass(100)
    expect(node.state.reads).toBe(reads)
  })
})

describe('the bus', () => {
  test('while it is down the heads are polled, and no values are read', async () => {
    const world = begin()
    await world.put({ n: 1 })
    const node = world.node()
    void node.start()
    await world.pass(100)
    const { reads } = node.state
    await world.pass(20_000)
    expect(node.state.polling).toBe(true)
    expect(node.state.reads - reads).toBeGreaterThan(12)
    expect(node.state.reads - reads).toBeLessThan(30)
    await world.put({ n: 2 }, { hint: false })
    await world.pass(1500)
    expect(node.serves).toEqual({ n: 2 })
  })

  test('while it is up nothing is read but a reconcile now and then', async () => {
    const { world, node } = await following()
    const { reads } = node.state
    await world.pass(10 * reconcileMs)
    expect(node.state.reads - reads).toBeGreaterThan(10)
    expect(node.state.reads - reads).toBeLessThan(40)
  })

  test('polling stops only after a catch-up read that follows bus up', async () => {
    const world = begin()
    await world.put({ n: 1 })
    const node = world.node()
    void node.start()
    await world.pass(100)
    node.cut = true
    node.engine?.bus('up')
    await world.pass(3000)
    expect(node.state.polling).toBe(true)
    node.cut = false
    await world.put({ n: 2 }, { hint: false })
    await world.pass(2000)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.polling).toBe(false)
  })

  test('a read that began before the bus came up is no catch-up read', async () => {
    const world = begin()
    await world.put({ n: 1 })
    const node = world.node()
    node.latencyMs = 400
    void node.start()
    await world.pass(4000)
    node.hint()
    await world.pass(300)
    // Read by now, not yet answered.
    await world.put({ n: 2 }, { hint: false })
    node.engine?.bus('up')
    await world.pass(3000)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state.polling).toBe(false)
  })

  test('down again means polling again', async () => {
    const { world, node } = await following()
    expect(node.state.polling).toBe(false)
    node.engine?.bus('down')
    await world.put({ n: 2 }, { hint: false })
    await world.pass(1500)
    expect(node.serves).toEqual({ n: 2 })
  })
})

test('nothing is left behind after stop', async () => {
  const { world, node } = await following()
  node.cut = true
  node.hint()
  await world.pass(500)
  await node.engine?.stop()
  await world.pass(10_000)
  expect(world.time.timers).toBe(0)
})
