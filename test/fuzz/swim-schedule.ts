/**
 * One seeded schedule of faults on a simulated gossip fleet: crashes, restarts, partitions, processes that stand still, lost, doubled and
 * late datagrams, announcements. Then everything heals, and what must hold is checked. A seed that fails is its own reproduction.
 */
import { strict as assert } from 'node:assert'
import { keyOf, SimFleet, type SimNode } from './swim-fleet.ts'

const steps = 30
const longestFreezeMs = 20_000
/** From healing until all agree on who is there; probes of a node in bad health are nine times as far apart. */
export const healMs = 60_000
/** From an announcement in a healthy fleet until all have heard it. */
export const newsMs = 2000

export interface SwimResult {
  readonly nodes: number
  readonly crashes: number
  readonly partitions: number
  readonly news: number
  /** Fake milliseconds from healing until all agreed, and from the last announcement until all had heard it. */
  readonly convergedMs: number
  readonly spreadMs: number
}

class Schedule {
  readonly fleet: SimFleet
  crashes = 0
  partitions = 0
  news = 0

  constructor(seed: number) {
    this.fleet = new SimFleet(seed, 3 + (seed % 8))
  }

  step(): void {
    const { fleet } = this
    const { random } = fleet
    const node = random.pick(fleet.nodes)
    const choices: (() => void)[] = [
      () => this.announce(),
      () => this.announce(),
      () => this.crash(node),
      () => this.crash(node),
      () => {
        if (fleet.running.length > 2) node.leave()
      },
      () => this.restart(node),
      () => this.restart(node),
      () => {
        this.partitions++
        for (const each of fleet.nodes) each.side = random.below(2)
      },
      () => {
        for (const each of fleet.nodes) each.side = 0
      },
      () => {
        node.frozenUntil = fleet.queue.now + random.next() * longestFreezeMs
      },
      () => {
        fleet.faults.loss = random.pick([0, 0.05, 0.3])
        fleet.faults.double = random.pick([0, 0.2])
        fleet.faults.late = random.pick([0, 0.1])
      },
    ]
    random.pick(choices)()
  }

  announce(): void {
    const { fleet } = this
    if (fleet.running.length === 0) return
    fleet.announce(fleet.random.pick(fleet.running), ++this.news)
  }

  crash(node: SimNode): void {
    if (!node.isRunning || this.fleet.running.length <= 2) return
    this.crashes++
    node.crash()
  }

  restart(node: SimNode): void {
    if (node.isRunning) return
    // As the records of a store would: everybody's address.
    node.start(this.fleet.nodes.map(({ address }) => address))
  }

  heal(): void {
    const { fleet } = this
    Object.assign(fleet.faults, { loss: 0, double: 0, late: 0 })
    for (const node of fleet.nodes) node.side = 0
    // Whoever stands still goes on by itself.
    fleet.pass(longestFreezeMs)
  }

  /** Of every running node: what it would tell another of announcements. */
  bulletins(): Set<string> {
    return new Set(
      this.fleet.running.map(({ swim }) => {
        const list = JSON.parse(Buffer.from(swim?.state() ?? []).toString()) as unknown[][]
        const news = list.filter(([kind]) => kind === 'n').map((each) => JSON.stringify(each))
        return news.sort().join()
      }),
    )
  }
}

/** @throws AssertionError that names the seed */
export function runSwimSchedule(seed: number): SwimResult {
  const schedule = new Schedule(seed)
  const { fleet } = schedule
  try {
    fleet.startAll()
    assert(fleet.until(healMs, () => fleet.agrees) !== undefined, 'they never met')
    for (let step = 0; step < steps; step++) {
      schedule.step()
      fleet.pass(fleet.random.chance(0.2) ? 15_000 : fleet.random.next() * 1500)
    }
    schedule.heal()
    const convergedMs = fleet.until(healMs, () => fleet.agrees && schedule.bulletins().size === 1)
    assert(convergedMs !== undefined, `after ${healMs} ms they do not agree:\n${table(fleet)}`)
    schedule.announce()
    const key = keyOf({ document: 'config', number: schedule.news, id: `w-${schedule.news}` })
    const spreadMs = fleet.until(newsMs, () => fleet.running.every(({ heard }) => heard.has(key)))
    assert(spreadMs !== undefined, `an announcement did not reach all within ${newsMs} ms`)
    const { crashes, partitions, news } = schedule
    return { nodes: fleet.nodes.length, crashes, partitions, news, convergedMs, spreadMs }
  } catch (error) {
    throw new assert.AssertionError({ message: `seed ${seed}: ${(error as Error).message}` })
  }
}

function table(fleet: SimFleet): string {
  return fleet.running
    .map(
      (by) => `${by.id}: ${fleet.nodes.map((of) => `${of.id} ${fleet.opinion(by, of) ?? '-'}`).join(', ')}`,
    )
    .join('\n')
}
