/** Push over real HTTP, with a handful of nodes. Tests that wait for seconds, and do nothing meanwhile, wait together. */

import type { FleetNode } from 'millrace'
import { describe, expect, type TestContext, test } from 'vitest'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime } from '../conformance/time.ts'
import type { Cleanup } from '../harness/cleanup.ts'
import { type FleetNodeOptions, freeNodePort, type MadeNode, makeNode, Roster } from '../harness/fleet.ts'
import { write } from '../harness/redis-store.ts'
import { until } from '../harness/until.ts'

const revision = (number: number) => ({ number, id: `w-${number}` })
const push = (given: FleetNodeOptions): Promise<MadeNode> => makeNode('push', { heartbeat: '200ms' }, given)
const allUp = (nodes: readonly MadeNode[]): Promise<unknown> =>
  until('every bus is up', () => nodes.every(({ states }) => states.at(-1) === 'up'), { timeoutMs: 20_000 })

async function fleet(count: number, more: Partial<FleetNodeOptions> = {}) {
  const roster = new Roster()
  const nodes: MadeNode[] = []
  for (let index = 0; index < count; index++) nodes.push(await push({ id: `n${index}`, roster, ...more }))
  await allUp(nodes)
  return { roster, nodes }
}

/** Of a test that runs beside others: it stops its nodes itself. */
const ownCleanup = ({ onTestFinished }: TestContext): { cleanup: Cleanup } => ({
  cleanup: (run) => onTestFinished(async () => void (await run())),
})

const gone = async (id: string, boot = 'boot-gone'): Promise<FleetNode> => {
  return { id, boot, role: 'lb', address: `127.0.0.1:${await freeNodePort()}`, zone: '' }
}

test('an announcement resolves when every node has it', async () => {
  const { nodes } = await fleet(4)
  await nodes[2].sync.announce?.('config', revision(7))
  expect(nodes.map(({ hints }) => hints)).toEqual(nodes.map(() => [['config', revision(7)]]))
})

test('a node alone calls itself, and one that nobody can call is down', async () => {
  const { nodes } = await fleet(1)
  await nodes[0].sync.announce?.('config', revision(1))
  await nodes[0].cut()
  await until('down', () => nodes[0].states.at(-1) === 'down')
  expect(nodes[0].states).toEqual(['up', 'down'])
})

test('a node that appears in the records after an announcement is told of it', async () => {
  const { roster, nodes } = await fleet(2)
  await nodes[0].sync.announce?.('config', revision(5))
  const late = await push({ id: 'late', roster })
  await until('it has heard', () => late.hints.length > 0)
  expect(late.hints).toEqual([['config', revision(5)]])
})

describe.concurrent('a node that does not answer', () => {
  test('is named, and called again until it is there', async (context) => {
    const own = ownCleanup(context)
    const { roster, nodes } = await fleet(2, own)
    const absent = await gone('late')
    roster.add(absent)
    await expect(nodes[0].sync.announce?.('config', revision(1))).rejects.toMatchObject({
      code: 'MR_NETWORK',
      message: expect.stringContaining('1 of 2 nodes not reached yet: late'),
    })
    expect(nodes[1].hints).toEqual([['config', revision(1)]])
    // The same start of it, and a later announcement in between: it hears of that one.
    void nodes[0].sync.announce?.('config', revision(2)).catch(() => {})
    const port = Number(absent.address.split(':')[1])
    const late = await push({ id: 'late', boot: absent.boot, port, roster, ...own })
    await until('it has heard', () => late.hints.length > 0, { timeoutMs: 20_000 })
    expect(late.hints).toEqual([['config', revision(2)]])
  })

  test('does not keep the others from hearing', async (context) => {
    const { roster, nodes } = await fleet(3, ownCleanup(context))
    roster.add(await gone('dead'))
    const announced = nodes[0].sync.announce?.('config', revision(1)).catch(() => {})
    await until('the others have heard', () => nodes.slice(1).every(({ hints }) => hints.length === 1))
    await announced
  })
})

test.concurrent('a node that was told and does not take the revision, by its own record, is told again', {
  timeout: 40_000,
}, async (context) => {
  const own = ownCleanup(context)
  const store = new MemoryStore(new FakeTime()).client()
  const roster = new Roster()
  const record = (applied: number) => JSON.stringify({ config: { applied: revision(applied), nack: null } })
  const [a, b, c] = [
    await push({ id: 'a', roster, store, ...own }),
    await push({ id: 'b', roster, store, ...own }),
    await push({ id: 'c', roster, store, ...own }),
  ]
  await write(store, 'node/b', record(1), null)
  await write(store, 'node/c', record(2), null)
  await a.sync.announce?.('config', revision(2))
  await until('b was told again', () => b.hints.length > 1, { timeoutMs: 20_000 })
  expect(b.hints.slice(0, 2)).toEqual([
    ['config', revision(2)],
    ['config', revision(2)],
  ])
  expect(c.hints).toEqual([['config', revision(2)]])
})

test.concurrent('a node of another key hears nothing and is heard by nobody', async (context) => {
  const own = ownCleanup(context)
  const { roster, nodes } = await fleet(2, own)
  const keys = ['another secret of a fleet']
  const stranger = await push({ id: 'x', roster, registers: false, keys, ...own })
  await expect(stranger.sync.announce?.('config', revision(9))).rejects.toMatchObject({ code: 'MR_NETWORK' })
  expect(nodes.flatMap(({ hints }) => hints)).toEqual([])
  expect(nodes.some(({ drops }) => drops.includes('unproven'))).toBe(true)
  expect(stranger.states).toEqual([])
})
