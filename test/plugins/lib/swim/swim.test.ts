/** The gossip protocol on a simulated network: what it promises, with numbers. */
import { describe, expect, test } from 'vitest'
import { suspicionMs } from '../../../../plugins/lib/swim/settings.ts'
import { packetBytes } from '../../../../plugins/lib/swim/wire.ts'
import { keyOf, SimFleet, settings } from '../../../fuzz/swim-fleet.ts'

const { probeMs } = settings
const seeds = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** A fleet in which everybody knows everybody. */
function fleetOf(count: number, seed = 1): SimFleet {
  const fleet = new SimFleet(seed, count)
  fleet.startAll()
  expect(fleet.until(30_000, () => fleet.agrees)).toBeDefined()
  // Until nothing is passed on any more.
  fleet.pass(10_000)
  fleet.changes.length = 0
  return fleet
}

describe('without faults', () => {
  test.each([2, 5, 30])('%d nodes are never suspected of anything, for an hour', (count) => {
    const fleet = fleetOf(count)
    fleet.pass(count > 10 ? 600_000 : 3_600_000)
    expect(fleet.changes).toEqual([])
    expect(fleet.nodes.map(({ swim }) => [swim?.health, swim?.isWhole])).toEqual(
      fleet.nodes.map(() => [0, true]),
    )
  })

  test('a node that says goodbye has left, at once and to all, and nobody misses it', () => {
    const fleet = fleetOf(10)
    fleet.nodes[3].leave()
    expect(fleet.until(probeMs, () => fleet.agrees)).toBeDefined()
    fleet.pass(60_000)
    expect(new Set(fleet.changes.map(({ id, state }) => `${id} ${state}`))).toEqual(new Set(['n3 left']))
    expect(fleet.running.every(({ swim }) => swim?.isWhole)).toBe(true)
  })

  test('a node alone is whole, and one that finds none of its seeds is not', () => {
    const fleet = new SimFleet(1, 2)
    const [alone, seeking] = fleet.nodes
    alone.start([])
    seeking.start(['nowhere:1'])
    fleet.pass(60_000)
    expect([alone.swim?.isWhole, seeking.swim?.isWhole]).toEqual([true, false])
    seeking.act((swim, now) => swim.candidates(now, ['nowhere:1', alone.address]))
    expect(fleet.until(60_000, () => fleet.agrees)).toBeDefined()
    expect([alone.swim?.isWhole, seeking.swim?.isWhole]).toEqual([true, true])
  })
})

describe('a node that dies without a word', () => {
  test.each([3, 10, 40])('of %d is dead to all the others within the bound, and nobody else is', (count) => {
    // Every member asks every other within two rounds (SWIM §4.3); then the suspicion, and the time that the news takes.
    const bound = 2 * (count - 1) * probeMs + suspicionMs(settings, count) + 3 * probeMs
    const took = seeds(10).map((seed) => {
      const fleet = fleetOf(count, seed)
      fleet.nodes[1].crash()
      const ms = fleet.until(bound, () =>
        fleet.running.every((by) => fleet.opinion(by, fleet.nodes[1]) === 'dead'),
      )
      expect(ms, `seed ${seed}`).toBeDefined()
      expect(new Set(fleet.changes.map(({ id }) => id))).toEqual(new Set(['n1']))
      expect(fleet.running.some(({ swim }) => swim?.isWhole)).toBe(false)
      return ms as number
    })
    // Usually one of the others asks it within e/(e−1) periods (SWIM §3.1).
    const median = took.sort((a, b) => a - b)[5]
    expect(median).toBeLessThan(suspicionMs(settings, count) + 6 * probeMs)
  })

  test('is forgotten in the end, and the fleet is whole without it', () => {
    const fleet = fleetOf(4)
    fleet.nodes[1].crash()
    fleet.pass(30_000)
    expect(fleet.running.map(({ swim }) => swim?.isWhole)).toEqual([false, false, false])
    fleet.pass(settings.forgetMs)
    expect(fleet.running.map(({ swim }) => swim?.isWhole)).toEqual([true, true, true])
  })

  test('is there again when it was started anew, without waiting for the end of anything', () => {
    const fleet = fleetOf(5)
    fleet.nodes[1].crash()
    fleet.pass(2000)
    fleet.nodes[1].start([fleet.nodes[0].address])
    expect(fleet.until(3 * probeMs, () => fleet.agrees)).toBeDefined()
  })
})

describe('a suspicion', () => {
  test('is refuted by the member that it is about, everywhere, by a higher incarnation', () => {
    const fleet = fleetOf(10)
    const [, accused] = fleet.nodes
    const incarnation = fleet.nodes[0].swim?.member(accused.id)?.incarnation ?? 0
    accused.frozenUntil = fleet.queue.now + 2500
    // To have been suspected speaks against one's own health.
    expect(fleet.until(5000, () => (accused.swim?.health ?? 0) > 0)).toBeDefined()
    fleet.pass(20_000)
    const states = new Set(fleet.changes.map(({ id, state }) => `${id} ${state}`))
    expect(states).toEqual(new Set([`${accused.id} suspect`, `${accused.id} alive`]))
    expect(fleet.agrees).toBe(true)
    expect(fleet.nodes[0].swim?.member(accused.id)?.incarnation).toBeGreaterThan(incarnation)
  })

  test('does not come from a node that has itself stood still', () => {
    const fleet = fleetOf(10)
    const [stalled] = fleet.nodes
    stalled.frozenUntil = fleet.queue.now + 120_000
    fleet.pass(119_000)
    // The others rightly do not believe in it any more.
    expect(fleet.opinion(fleet.nodes[1], stalled)).toBe('dead')
    expect(fleet.until(30_000, () => fleet.agrees)).toBeDefined()
    const wrong = fleet.changes.filter(({ by, id }) => by === stalled.id || id !== stalled.id)
    expect(wrong.filter(({ state }) => state === 'dead')).toEqual([])
  })

  test('does not run out while the node that has it stands still: what came meanwhile is read first', () => {
    const fleet = fleetOf(10)
    const [stalled, accused] = fleet.nodes
    accused.frozenUntil = fleet.queue.now + 3000
    expect(fleet.until(3000, () => fleet.opinion(stalled, accused) === 'suspect')).toBeDefined()
    stalled.frozenUntil = fleet.queue.now + 60_000
    expect(fleet.until(120_000, () => fleet.agrees)).toBeDefined()
    expect(fleet.changes.filter(({ id, state }) => id === accused.id && state === 'dead')).toEqual([])
  })

  test('of a node whose datagrams to one other are lost is averted by those whom that one asks', () => {
    const fleet = fleetOf(6)
    const [deaf] = fleet.nodes
    // Both ways, between the first two only.
    const send = fleet.send.bind(fleet)
    fleet.send = (from, address, packet) => {
      const pair = [from.address, address].sort()
      if (pair[0] === deaf.address && pair[1] === fleet.nodes[1].address) return
      send(from, address, packet)
    }
    fleet.pass(600_000)
    expect(fleet.changes).toEqual([])
  })

  test('under heavy loss does not become a verdict: nobody who lives is dead for long', () => {
    const fleet = fleetOf(10)
    fleet.faults.loss = 0.1
    fleet.pass(300_000)
    fleet.faults.loss = 0
    expect(fleet.until(30_000, () => fleet.agrees)).toBeDefined()
    expect(fleet.changes.filter(({ state }) => state === 'dead')).toEqual([])
  })
})

test('a node that hears badly gives the others more time, until it hears well again', () => {
  const fleet = fleetOf(10)
  const [deaf, ...others] = fleet.nodes
  const send = fleet.send.bind(fleet)
  let chance = 0.8
  fleet.send = (from, address, packet) => {
    if (address !== deaf.address || !fleet.random.chance(chance)) send(from, address, packet)
  }
  expect(fleet.until(120_000, () => (deaf.swim?.health ?? 0) >= 3)).toBeDefined()
  expect(Math.max(...others.map(({ swim }) => swim?.health ?? 0))).toBeLessThan(3)
  chance = 0
  expect(fleet.until(120_000, () => fleet.agrees && deaf.swim?.health === 0)).toBeDefined()
})

test('a node that hears nobody doubts itself; one that misses a single member does not', () => {
  const lonely = fleetOf(6)
  for (const node of lonely.nodes.slice(1)) node.crash()
  expect(lonely.until(10_000, () => (lonely.nodes[0].swim?.health ?? 0) > 0)).toBeDefined()
  const usual = fleetOf(6)
  usual.nodes[1].crash()
  const wasUnwell = usual.until(10_000, () => usual.running.some(({ swim }) => (swim?.health ?? 0) > 0))
  expect(wasUnwell).toBeUndefined()
})

describe('a partition', () => {
  test.each(
    seeds(5),
  )('heals from either side, and what was announced on one is heard on the other (seed %d)', (seed) => {
    const fleet = fleetOf(10, seed)
    for (const [index, node] of fleet.nodes.entries()) node.side = index % 2
    fleet.pass(60_000)
    const acrossAll = fleet.nodes.every((by) =>
      fleet.nodes.every((of) => of === by || (fleet.opinion(by, of) === 'dead') === (of.side !== by.side)),
    )
    expect(acrossAll).toBe(true)
    expect(fleet.nodes.some(({ swim }) => swim?.isWhole)).toBe(false)
    fleet.announce(fleet.nodes[0], 1)
    fleet.pass(1000)
    const key = keyOf({ document: 'config', number: 1, id: 'w-1' })
    expect(fleet.nodes.filter(({ heard }) => heard.has(key)).map(({ side }) => side)).toEqual([0, 0, 0, 0, 0])
    for (const node of fleet.nodes) node.side = 0
    const healed = fleet.until(30_000, () => fleet.agrees && fleet.nodes.every(({ heard }) => heard.has(key)))
    expect(healed).toBeDefined()
    expect(fleet.nodes.every(({ swim }) => swim?.isWhole)).toBe(true)
  })
})

describe('an announcement', () => {
  test.each([
    10, 30, 100,
  ])('reaches all of %d nodes in a number of rounds that grows with the logarithm', (count) => {
    const rounds = seeds(5).map((seed) => {
      const fleet = fleetOf(count, seed)
      fleet.announce(fleet.nodes[seed], 1)
      const key = keyOf({ document: 'config', number: 1, id: 'w-1' })
      const ms = fleet.until(60_000, () => fleet.nodes.every(({ heard }) => heard.has(key))) ?? Infinity
      return Math.ceil(ms / settings.gossipMs)
    })
    expect(Math.max(...rounds)).toBeLessThanOrEqual(Math.ceil(Math.log2(count)))
  })

  test('costs each node a number of datagrams that does not grow with the fleet by more than its logarithm', () => {
    const cost = (count: number): number => {
      const quiet = fleetOf(count)
      const loud = fleetOf(count)
      loud.announce(loud.nodes[0], 1)
      for (const fleet of [quiet, loud]) {
        fleet.packets = 0
        fleet.pass(10_000)
      }
      return (loud.packets - quiet.packets) / count
    }
    expect(cost(100)).toBeLessThanOrEqual(2 * cost(10))
  })

  test('is heard of once by each, also when it is made again, and one of a lower revision after a higher', () => {
    const fleet = fleetOf(5)
    for (const number of [7, 7, 3, 7]) {
      fleet.announce(fleet.nodes[number % 5], number)
      fleet.pass(2000)
    }
    for (const { heard } of fleet.nodes) expect([...heard.keys()]).toEqual(['config 7 w-7', 'config 3 w-3'])
    const before = fleet.packets
    fleet.pass(10_000)
    // Probes and their answers, and nothing that goes round for ever: 5 nodes, 10 periods, 2 datagrams.
    expect(fleet.packets - before).toBeLessThanOrEqual(5 * 10 * 2 + 10)
  })

  test('reaches all in spite of one datagram in three that is lost', () => {
    const fleet = fleetOf(30)
    fleet.faults.loss = 0.33
    fleet.announce(fleet.nodes[0], 1)
    const key = keyOf({ document: 'config', number: 1, id: 'w-1' })
    expect(fleet.until(5000, () => fleet.nodes.every(({ heard }) => heard.has(key)))).toBeDefined()
  })
})

test('no packet is longer than fits, in a fleet where everything is new at once', () => {
  const fleet = fleetOf(100)
  for (let number = 1; number <= 50; number++) fleet.announce(fleet.nodes[number], number)
  for (const node of fleet.nodes.slice(60)) node.crash()
  fleet.pass(20_000)
  expect(fleet.longest).toBeLessThanOrEqual(packetBytes)
  expect(fleet.longest).toBeGreaterThan(500)
})
