/**
 * One seeded schedule of faults on a real store: nodes are cut off, frozen, restarted, the server is killed or stopped, in the
 * middle of changes, good and bad. Then everything heals, and what must hold is checked. The seed repeats the choices, not the
 * timing of sockets and processes.
 */
import { strict as assert } from 'node:assert'
import { setTimeout as later } from 'node:timers/promises'
import { seeded } from '../conformance/time.ts'
import { until } from '../harness/until.ts'
import { type Backing, RealFleet, type RealNode } from './real-fleet.ts'

const nodes = 3
const steps = 14
/** What a schedule may take to converge before it is given up; how long it took is the result. */
const longestMs = 20_000

export interface RealResult {
  readonly writes: number
  readonly acknowledged: number
  readonly restarts: number
  readonly serverFaults: number
  /** Changes that were acknowledged, and are not there any more. */
  readonly lost: number
  /** Alarms of the nodes. */
  readonly forks: number
  /** Milliseconds from healing until all had the same. */
  readonly convergedMs: number
}

class Schedule {
  readonly fleet: RealFleet
  readonly random: () => number
  readonly acknowledged = new Set<string>()
  writes = 0
  restarts = 0
  serverFaults = 0
  #server: 'up' | 'killed' | 'paused' = 'up'
  #n = 0

  constructor(fleet: RealFleet, random: () => number) {
    this.fleet = fleet
    this.random = random
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]
  }

  async write(good = false): Promise<void> {
    const bad = !good && this.random() < 0.2
    this.writes++
    const id = await this.fleet.write({ n: ++this.#n, ...(bad && { bad }) }, this.random() < 0.7)
    if (id !== undefined) this.acknowledged.add(id)
  }

  async step(): Promise<void> {
    const node = this.pick(this.fleet.nodes)
    const choices: (() => unknown)[] = [
      ...Array.from({ length: 5 }, () => () => this.write()),
      () => node.hint({ number: 1 + Math.floor(this.random() * 60), id: 'forged' }),
      async () => {
        this.restarts++
        await node.restart()
      },
    ]
    const { relay } = node
    if (relay)
      choices.push(
        () => relay.cut(),
        () => relay.freeze(),
        () => relay.heal(),
      )
    const { server, topology } = this.fleet.backing
    if (server) choices.push(() => this.troubleServer())
    if (topology)
      choices.push(async () => {
        if (await topology.trouble(this.random, () => this.write())) this.serverFaults++
      })
    await this.pick(choices)()
  }

  /** Killed, stopped, or back again. */
  async troubleServer(): Promise<void> {
    if (this.#server !== 'up') return this.healServer()
    this.serverFaults++
    this.#server = this.random() < 0.5 ? 'killed' : 'paused'
    if (this.#server === 'killed') await this.fleet.backing.server?.kill()
    else this.fleet.backing.server?.pause()
  }

  async healServer(): Promise<void> {
    const { server } = this.fleet.backing
    if (this.#server === 'killed') await server?.start()
    if (this.#server === 'paused') server?.resume()
    this.#server = 'up'
  }

  async heal(): Promise<void> {
    await this.healServer()
    await this.fleet.backing.topology?.heal(this.random, () => this.write())
    for (const { relay } of this.fleet.nodes) {
      relay?.heal()
      // What was frozen ends: a far side that is gone is found out by no one.
      relay?.cut()
      relay?.heal()
    }
  }
}

/** @throws AssertionError that names the seed */
export async function runRealSchedule(backing: Backing, seed: number): Promise<RealResult> {
  const random = seeded(seed)
  const fleet = await RealFleet.start(backing, random, nodes)
  const schedule = new Schedule(fleet, random)
  for (let step = 0; step < steps; step++) {
    await schedule.step()
    await later(random() * 120)
  }
  await schedule.heal()
  const healedAt = performance.now()
  await untilAnswered(() => fleet.settle())
  const history = await untilAnswered(() => fleet.store.history('config'))
  const wanted = history.find(({ revision }) => !fleet.bad.has(revision.id))?.revision
  const serves = (node: RealNode): string | undefined => node.engine?.state().applied?.id
  const at = `seed ${seed} on ${backing.store} with ${backing.sync}: `
  await until(
    `${at}every node serves revision ${wanted?.number}`,
    () => fleet.nodes.every((node) => serves(node) === wanted?.id),
    {
      timeoutMs: longestMs,
    },
  )
  const convergedMs = performance.now() - healedAt
  const kept = new Set(history.map(({ revision }) => revision.id))
  const lost = [...schedule.acknowledged].filter((id) => !kept.has(id))
  if (backing.forkHoldMs === undefined)
    assert(lost.length === 0, `${at}acknowledged writes are gone: ${lost.join(', ')}`)
  for (const node of fleet.nodes) check(node, kept, at)
  const { writes, acknowledged, restarts, serverFaults } = schedule
  const forks = fleet.nodes.reduce((sum, node) => sum + node.forks, 0)
  await fleet.stop()
  const counts = { writes, acknowledged: acknowledged.size, lost: lost.length, forks, restarts, serverFaults }
  return { ...counts, convergedMs }
}

function check({ id, served, taken, forks }: RealNode, kept: ReadonlySet<string>, at: string): void {
  assert(!served.some(({ bad }) => bad), `${at}${id} has served a bad config`)
  const last = { number: 0, branch: 0 }
  for (const { number, branch } of taken) {
    const isFollowing = branch > last.branch
    assert(number >= last.number || isFollowing, `${at}${id} went back from ${last.number} to ${number}`)
    Object.assign(last, { number, branch })
  }
  const gone = taken.find((revision) => !kept.has(revision.id))
  assert(
    !gone || forks > 0,
    `${at}${id} has served revision ${gone?.number}, which is lost, and raised no alarm`,
  )
}

async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await ask()
    } catch (error) {
      if (left === 0) throw error
      await later(50)
    }
  }
}
