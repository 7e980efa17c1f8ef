/**
 * One seeded schedule of faults on a simulated store: nodes are cut off, restarted, deaf, slow; the store goes down, loses
 * writes, is replaced; configs are written, good and bad. Then everything heals, and what must hold is checked. A seed that
 * fails is its own reproduction.
 */
import { strict as assert } from 'node:assert'
import { type Node, World } from '../config/sync/world.ts'

const nodes = 4
const steps = 40
export const healMs = 2000
export const forkMs = 32_000

export interface ScheduleResult {
  readonly writes: number
  readonly forks: number
  readonly restarts: number
  /** Fake milliseconds from healing until all had the same. */
  readonly convergedMs: number
}

class Schedule {
  readonly world: World
  /** Ids of revisions whose write was acknowledged and that no fork has taken away since. */
  readonly acknowledged = new Set<string>()
  writes = 0
  restarts = 0
  forks = 0
  #n = 0
  /** Forks may be chosen. */
  readonly #forking: boolean

  constructor(seed: number) {
    this.world = new World(seed)
    this.#forking = seed % 3 === 0
  }

  chance(share: number): boolean {
    return this.world.random() < share
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.world.random() * list.length)]
  }

  async write(good = false): Promise<void> {
    if (this.world.down) return
    const bad = !good && this.chance(0.2)
    const { id } = await this.world.put({ n: ++this.#n, ...(bad && { bad }) }, { hint: this.chance(0.7) })
    this.acknowledged.add(id)
    this.writes++
  }

  async fork(): Promise<void> {
    const { world } = this
    const history = world.data.documents.get('config')?.history ?? []
    const lost = 1 + Math.floor(world.random() * 2)
    if (history.length <= lost) return
    this.forks++
    if (this.chance(0.25)) {
      world.replace()
      world.down = false
      this.acknowledged.clear()
      await this.write(true)
      return
    }
    for (const { revision } of history.slice(0, lost)) this.acknowledged.delete(revision.id)
    world.fork(lost)
    for (let more = Math.floor(world.random() * 4); more > 0; more--) await this.write()
  }

  async step(): Promise<void> {
    const { world } = this
    const node = this.pick(world.nodes)
    const choices: (() => unknown)[] = [
      () => this.write(),
      () => this.write(),
      () => this.write(),
      () => this.toggle(node, 'cut'),
      () => this.toggle(node, 'losesHints'),
      () => this.toggle(node, 'losesAnswers'),
      () => this.toggle(node, 'hangs'),
      () => {
        node.latencyMs = this.pick([0, 1, 20, 300])
      },
      () => node.engine?.bus(this.pick(['up', 'down'])),
      () => node.hint({ number: 1 + Math.floor(world.random() * 60), id: `forged-${world.newId()}` }),
      () => {
        const history = world.data.documents.get('config')?.history ?? []
        if (history.length > 0) node.hint(this.pick(history).revision)
      },
      () => {
        world.down = !world.down
      },
      () => {
        this.restarts++
        void node.restart()
      },
    ]
    if (this.#forking) choices.push(() => this.fork())
    // Of a store that has lost writes a replica may be ahead, and then it does not lag.
    else choices.push(() => this.lag(node))
    await this.pick(choices)()
  }

  toggle(node: Node, fault: 'cut' | 'losesHints' | 'losesAnswers' | 'hangs'): void {
    node[fault] = !node[fault]
  }

  /** Reads that need not be fresh tell what the head was now, or again what it is. */
  lag(node: Node): void {
    node.lagging = node.lagging ? undefined : this.world.head
  }

  heal(): void {
    this.world.down = false
    for (const node of this.world.nodes) {
      Object.assign(node, { cut: false, losesHints: false, losesAnswers: false, hangs: false, latencyMs: 1 })
      node.lagging = undefined
      // A subscription that is there again; what it has missed nobody says.
      node.engine?.bus('down')
      if (this.chance(0.7)) node.engine?.bus('up')
    }
  }

  /** The newest that is no bad config: what every node has to serve. */
  get wanted(): { number: number; id: string } | undefined {
    const history = this.world.data.documents.get('config')?.history ?? []
    return history.find(({ revision }) => !this.world.bad.has(revision.id))?.revision
  }

  get converged(): boolean {
    return this.world.nodes.every(({ engine }) => {
      const applied = engine?.state().applied
      return applied?.id === this.wanted?.id && applied?.lineage === this.world.lineage
    })
  }
}

/** @throws AssertionError that names the seed */
export async function runSchedule(seed: number): Promise<ScheduleResult> {
  const schedule = new Schedule(seed)
  const { world } = schedule
  await schedule.write(true)
  for (let count = 0; count < nodes; count++) void world.node().start()
  await world.pass(100)
  for (let step = 0; step < steps; step++) {
    await schedule.step()
    await world.pass(world.random() < 0.2 ? 5000 : Math.floor(world.random() * 400))
  }
  // What a call that hangs has begun ends at its own limit of time.
  for (const node of world.nodes) node.hangs = false
  await world.pass(5000)
  schedule.heal()
  const healed = world.time.elapsed
  const limit = schedule.forks > 0 ? forkMs : healMs
  while (!schedule.converged && world.time.elapsed - healed < limit) await world.pass(50)
  const convergedMs = world.time.elapsed - healed
  check(schedule, seed, limit)
  await world.stop()
  const { writes, forks, restarts } = schedule
  return { writes, forks, restarts, convergedMs }
}

function check(schedule: Schedule, seed: number, limit: number): void {
  const { world } = schedule
  const at = `seed ${seed}: `
  const states = world.nodes.map(({ id, engine }) => `${id} ${engine?.state().applied?.number}`).join(', ')
  assert(schedule.converged, `${at}not all on ${schedule.wanted?.number} within ${limit} ms: ${states}`)
  const history = world.data.documents.get('config')?.history ?? []
  const kept = new Set(history.map(({ revision }) => revision.id))
  for (const id of schedule.acknowledged) assert(kept.has(id), `${at}the acknowledged write ${id} is gone`)
  for (const node of world.nodes) {
    assert(!node.served.some(({ bad }) => bad), `${at}${node.id} has served a bad config`)
    neverBack(node, schedule.forks > 0, at)
  }
}

/** Numbers only rise, over restarts too, save where a fork is followed; and none is where there was none. */
function neverBack(node: Node, forked: boolean, at: string): void {
  let before = node.taken[0]
  for (const taken of node.taken) {
    const { revision, branch, boot } = taken
    assert(forked || branch === 0, `${at}${node.id} has followed a fork, and there was none`)
    const isFollowing = branch > 0 && (boot !== before.boot || branch !== before.branch)
    const { number, lineage } = before.revision
    assert(
      isFollowing || (revision.number >= number && revision.lineage === lineage),
      `${at}${node.id} went back from ${number} of ${lineage} to ${revision.number} of ${revision.lineage}`,
    )
    before = taken
  }
}
