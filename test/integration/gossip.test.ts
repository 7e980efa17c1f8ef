/** Gossip over real UDP and HTTP, with a handful of nodes. */
import { describe, expect, test } from 'vitest'
import { type FleetNodeOptions, type MadeNode, makeNode, Roster } from '../harness/fleet.ts'
import { until } from '../harness/until.ts'

const revision = (number: number) => ({ number, id: `w-${number}` })
const isUp = ({ states }: MadeNode): boolean => states.at(-1) === 'up'
const allUp = (nodes: readonly MadeNode[]): Promise<unknown> =>
  until('every bus is up', () => nodes.every(isUp), { timeoutMs: 20_000 })
const allHeard = (nodes: readonly MadeNode[], number: number): Promise<unknown> =>
  until(`all have heard of ${number}`, () =>
    nodes.every(({ hints }) => hints.some(([, found]) => found?.number === number)),
  )

const gossip = (given: FleetNodeOptions, seeds: readonly string[] = []): Promise<MadeNode> =>
  makeNode('gossip', { probe: '200ms', seeds }, given)

/** Nodes that know of each other by their records. */
async function fleet(count: number, more: Partial<FleetNodeOptions> = {}) {
  const roster = new Roster()
  const nodes: MadeNode[] = []
  for (let index = 0; index < count; index++) nodes.push(await gossip({ id: `n${index}`, roster, ...more }))
  return { roster, nodes }
}

test('an announcement of any node reaches all of them, once, with its revision', async () => {
  const { nodes } = await fleet(5)
  await allUp(nodes)
  await nodes[3].sync.announce?.('config', revision(7))
  await allHeard(nodes, 7)
  await nodes[0].sync.announce?.('config', revision(8))
  await allHeard(nodes, 8)
  for (const { hints } of nodes)
    expect(hints).toEqual([
      ['config', revision(7)],
      ['config', revision(8)],
    ])
  expect(nodes.flatMap(({ drops }) => drops)).toEqual([])
})

test('nodes without records find each other by a seed, and one that comes late hears what was announced', async () => {
  const first = await gossip({ id: 'a' })
  await allUp([first])
  await first.sync.announce?.('config', revision(1))
  const others = [
    await gossip({ id: 'b' }, [first.self.address]),
    await gossip({ id: 'c' }, [first.self.address]),
  ]
  await allUp([first, ...others])
  await allHeard(others, 1)
  await others[0].sync.announce?.('config', revision(2))
  await allHeard([first, ...others], 2)
})

test('hints are of the documents that matter to a node, and pass through it all the same', async () => {
  const roster = new Roster()
  const [a, b] = [
    await gossip({ id: 'a', roster }),
    await gossip({ id: 'b', roster, documents: ['health/'] }),
  ]
  await allUp([a, b])
  await a.sync.announce?.('config', revision(1))
  await a.sync.announce?.('health/w1', revision(2))
  await allHeard([b], 2)
  expect(b.hints).toEqual([['health/w1', revision(2)]])
  const c = await gossip({ id: 'c', roster, documents: ['config'] })
  await allHeard([c], 1)
})

describe('who is there', () => {
  test('a node that dies takes the bus down until it is back; one that says goodbye does not', async () => {
    const { roster, nodes } = await fleet(4)
    await allUp(nodes)
    const [, victim, leaver] = nodes
    const others = nodes.filter((node) => node !== victim)
    await victim.crash()
    await until('the others miss it', () => others.every(({ states }) => states.at(-1) === 'down'), {
      timeoutMs: 20_000,
    })
    for (const { warnings } of others)
      expect(warnings).toEqual([expect.stringMatching(/n1 at .* is taken for dead/)])
    const port = Number(victim.self.address.split(':')[1])
    const again = await gossip({ id: 'n1', roster, port })
    await allUp([...others, again])
    await again.sync.announce?.('config', revision(3))
    await allHeard(others, 3)
    const counts = others.map(({ states }) => states.length)
    await leaver.stop()
    const left = others.filter((node) => node !== leaver)
    await left[0].sync.announce?.('config', revision(4))
    await allHeard([...left, again], 4)
    expect(left.map(({ states }) => states.length)).toEqual(
      others.flatMap((node, index) => (node === leaver ? [] : counts[index])),
    )
  })

  test('a node that is cut off says so, and its announcement is refused', async () => {
    const { nodes } = await fleet(3)
    await allUp(nodes)
    await nodes[0].cut()
    await until('it is down', () => nodes[0].states.at(-1) === 'down', { timeoutMs: 20_000 })
    await expect(nodes[0].sync.announce?.('config', revision(1))).rejects.toMatchObject({
      code: 'MR_NETWORK',
    })
  })
})

test('nodes of another key or another fleet are not let in, and hear nothing', async () => {
  const { roster, nodes } = await fleet(2)
  await allUp(nodes)
  const strangers = [
    await gossip({ id: 'x', roster, registers: false, keys: ['another secret of a fleet'] }),
    await gossip({ id: 'y', roster, registers: false, fleet: 'other' }),
  ]
  await until('they were refused', () =>
    nodes.some(({ drops }) => drops.includes('unproven') && drops.includes('foreign')),
  )
  await nodes[0].sync.announce?.('config', revision(1))
  await allHeard(nodes, 1)
  expect(strangers.map(({ hints, states }) => [hints, states])).toEqual([
    [[], []],
    [[], []],
  ])
  expect(nodes.every(isUp)).toBe(true)
})

test('two nodes of one id are told apart, and it is said', async () => {
  const { roster, nodes } = await fleet(2)
  await allUp(nodes)
  const twin = await gossip(
    { id: 'n1', roster, registers: false },
    nodes.map(({ self }) => self.address),
  )
  await until('one of them says so', () =>
    [...nodes, twin].some(({ warnings }) => warnings.some((text) => text.includes('has the node id n1 too'))),
  )
})
