import { describe, expect, test } from 'vitest'
import { begin, following } from './fixture.ts'
import type { World } from './world.ts'

describe('history', () => {
  test('a new node that cannot use the head walks back to the newest that it can', async () => {
    const world = begin()
    await world.put({ n: 1 })
    await world.put({ n: 2 })
    for (let n = 3; n < 40; n++) await world.put({ n, bad: true })
    const node = world.node()
    void node.start()
    await world.pass(500)
    expect(node.served).toEqual([{ n: 2 }])
    expect(node.state).toMatchObject({ applied: { number: 2 }, nack: { number: 39 } })
    await world.put({ n: 40 })
    await world.pass(100)
    expect(node.serves).toEqual({ n: 40 })
  })

  test('a walk that the store breaks off goes on', async () => {
    const world = begin()
    await world.put({ n: 1 })
    for (let n = 2; n < 30; n++) await world.put({ n, bad: true })
    const node = world.node()
    void node.start()
    await world.pass(12)
    expect(node.serves).toBeUndefined()
    node.cut = true
    await world.pass(5000)
    node.cut = false
    await world.pass(2000)
    expect(node.served).toEqual([{ n: 1 }])
  })

  test('a good revision that was missed before a bad head is served, as by those that saw it', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 }, { hint: false })
    await world.put({ n: 3, bad: true })
    await world.pass(100)
    expect(node.served.map(({ n }) => n)).toEqual([1, 2])
  })

  test('nothing before what is served is ever gone back to', async () => {
    const { world, node } = await following()
    await world.put({ n: 2 })
    await world.pass(50)
    await world.put({ n: 3, bad: true })
    await world.put({ n: 4, bad: true })
    await world.pass(100)
    expect(node.served.map(({ n }) => n)).toEqual([1, 2])
  })
})

describe('forks', () => {
  const forks: [what: string, make: (world: World) => Promise<unknown>][] = [
    [
      'the same number with another id',
      async (world) => {
        world.fork(1)
        await world.put({ n: 30 })
      },
    ],
    ['a lower number', async (world) => world.fork(1)],
    [
      'a higher number that does not go on from what is served',
      async (world) => {
        world.fork(2)
        for (const n of [20, 30, 40, 50]) await world.put({ n })
      },
    ],
    [
      'another lineage',
      async (world) => {
        world.replace()
        for (const n of [10, 20, 30, 40]) await world.put({ n })
      },
    ],
  ]

  async function atThree() {
    const { world, node } = await following()
    for (const n of [2, 3]) {
      await world.put({ n })
      await world.pass(50)
    }
    node.engine?.bus('down')
    return { world, node }
  }

  test.each(forks)('%s: held with an alarm, followed after 30 s', async (_what, make) => {
    const { world, node } = await atThree()
    await make(world)
    await world.pass(2000)
    expect(node.serves).toEqual({ n: 3 })
    expect(node.state.fork?.followsAt).toBeDefined()
    expect(node.lines('error').filter((line) => line.includes('FORK'))).toHaveLength(1)
    expect(node.record).toMatchObject({ config: { applied: { number: 3 } } })
    await world.pass(27_000)
    expect(node.serves).toEqual({ n: 3 })
    await world.pass(3000)
    const { number, id } = world.head?.revision ?? {}
    expect(node.state).toMatchObject({ fork: undefined, applied: { number, id, lineage: world.lineage } })
  })

  test('a store that goes on from what is served after all ends the hold', async () => {
    const { world, node } = await atThree()
    const old = [...(world.data.documents.get('config')?.history ?? [])]
    world.fork(1)
    await world.pass(5000)
    expect(node.state.fork).toBeDefined()
    world.data.documents.get('config')?.history.splice(0, 9, ...old)
    await world.put({ n: 4 }, { hint: false })
    await world.pass(1500)
    expect(node.state.fork).toBeUndefined()
    expect(node.serves).toEqual({ n: 4 })
  })

  test('a store that has lost everything is not followed: nothing is no config', async () => {
    const { world, node } = await atThree()
    world.replace()
    await world.pass(120_000)
    expect(node.serves).toEqual({ n: 3 })
    expect(node.state.fork).toMatchObject({ head: undefined, followsAt: undefined })
    await world.put({ n: 9 })
    await world.pass(32_000)
    expect(node.serves).toEqual({ n: 9 })
  })

  test('a fork is seen over a restart, and last-known-good is what is held', async () => {
    const { world, node } = await atThree()
    await node.engine?.stop()
    world.fork(1)
    node.served.length = 0
    void node.start()
    await world.pass(2000)
    expect(node.serves).toEqual({ n: 3 })
    expect(node.state.fork).toBeDefined()
    await world.pass(31_000)
    expect(node.serves).toEqual({ n: 2 })
  })

  test('where nothing can be held the store is followed at once', async () => {
    const { world, node } = await atThree()
    await node.engine?.stop()
    world.fork(1)
    const gone = { status: 'refused', problems: [{ code: 'MR_PLUGIN_UNKNOWN', message: 'gone' }] } as const
    node.refuses = [gone, gone]
    void node.start()
    await world.pass(2000)
    expect(node.serves).toEqual({ n: 2 })
  })

  test('a fork whose head is bad is followed to its newest that is right', async () => {
    const { world, node } = await atThree()
    world.fork(1)
    await world.put({ n: 30, bad: true })
    await world.pass(33_000)
    expect(node.serves).toEqual({ n: 2 })
    expect(node.state).toMatchObject({ fork: undefined, nack: { number: 3 } })
  })

  test('a hint of a known number with another id makes it look', async () => {
    const { world, node } = await atThree()
    node.engine?.bus('up')
    await world.pass(100)
    world.fork(1)
    await world.put({ n: 30 })
    await world.pass(100)
    expect(node.state.fork).toBeDefined()
  })
})
