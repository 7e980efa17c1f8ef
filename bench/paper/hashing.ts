/** Maglev §5.3 (Eisenbud et al., NSDI 2016) again, with the code that Millrace runs: sets of backends with random names, tables
 * of two sizes, and random backends that fail. */
import type { Backend } from 'millrace'
import { fakeBackends } from '../fixtures/view.ts'
import { seededRandom, shuffled } from '../stats/random.ts'
import {
  type Disruption,
  disruptionOf,
  entriesOf,
  type Figures,
  figuresOf,
  type Imbalance,
  imbalanceOf,
} from './measures.ts'
import { hashesOf, type Method, methods, populate } from './methods.ts'

export interface HashingPlan {
  readonly backends: number
  /** Entries of the lookup tables. */
  readonly sizes: readonly number[]
  /** Sets of backend names. */
  readonly sets: number
  /** How many backends fail at once. */
  readonly failures: readonly number[]
  /** For each number of failures, with Maglev, by size of the table. */
  readonly trials: readonly number[]
  /** The same of the methods that move nothing by their nature: this only checks that they do not. */
  readonly checks: readonly number[]
}

/** §5.3: 1,000 backends, tables of 65,537 and 655,373; each k 200 times, which takes too long for the large one. */
export const hashingPlans = {
  full: {
    ...{ backends: 1000, sizes: [65_537, 655_373], sets: 20, checks: [1, 1] },
    ...{ failures: [1, 5, 10, 20, 50, 100], trials: [200, 100] },
  },
  quick: {
    ...{ backends: 1000, sizes: [65_537, 655_373], sets: 5, checks: [1, 0] },
    ...{ failures: [1, 10, 100], trials: [20, 10] },
  },
} as const satisfies Record<string, HashingPlan>

/** Over the sets. */
export interface Balance extends Readonly<Record<keyof Imbalance, Figures>> {
  readonly method: string
  readonly title: string
  readonly entries: number
  /** Absent: no table of its own. */
  readonly buildMs: Figures | undefined
}

/** Over the trials. */
export interface Resilience extends Readonly<Record<keyof Disruption, Figures>> {
  readonly method: string
  readonly title: string
  readonly entries: number
  /** Backends that failed at once. */
  readonly failed: number
  /** The fullest of the living over their average, afterwards. */
  readonly maxAfter: Figures
}

export interface HashingResults extends HashingPlan {
  readonly seed: number
  readonly balance: readonly Balance[]
  readonly resilience: readonly Resilience[]
}

export interface HashingRun {
  readonly plan: HashingPlan
  readonly seed: number
  readonly signal: AbortSignal
  say(text: string): void
}

export async function measureHashing(run: HashingRun): Promise<HashingResults> {
  const { plan, seed } = run
  const random = seededRandom(seed)
  const sets = Array.from({ length: plan.sets }, () => randomBackends(plan.backends, random))
  const balance: Balance[] = []
  const resilience: Resilience[] = []
  for (const [index, entries] of plan.sizes.entries()) {
    for (const method of methods) {
      const hashes = hashesOf(method, entries)
      const tables = await measureBalance(run, method, sets, hashes)
      if (!method.keepsTable) balance.push(tables.balance)
      const trials = (method.name === 'maglev' ? plan.trials : plan.checks)[index]
      if (trials === 0) continue
      for (const failed of plan.failures)
        resilience.push(await measureFailures(run, method, tables, { sets, hashes, failed, trials, random }))
    }
  }
  return { ...plan, seed, balance, resilience }
}

/** Different addresses of 10.0.0.0/8. */
export function randomBackends(count: number, random: () => number): Backend[] {
  const names = new Set<string>()
  while (names.size < count) {
    const address = Math.floor(random() * 2 ** 24)
    names.add(`10.${address >>> 16}.${(address >>> 8) & 255}.${address & 255}:8080`)
  }
  return fakeBackends([...names].map((name) => ({ name })))
}

interface Tables {
  readonly balance: Balance
  /** Of each set, with every backend alive. */
  readonly before: readonly Uint32Array[]
}

async function measureBalance(
  run: HashingRun,
  method: Method,
  sets: readonly Backend[][],
  hashes: Uint32Array,
): Promise<Tables> {
  const before: Uint32Array[] = []
  const found: Imbalance[] = []
  const builds: number[] = []
  for (const backends of sets) {
    await breathe(run)
    const { table, buildMs } = await populate(method, backends, hashes)
    before.push(table)
    found.push(imbalanceOf(entriesOf(table, backends.length)))
    if (buildMs !== undefined) builds.push(buildMs)
  }
  const over = (key: keyof Imbalance): Figures => figuresOf(found.map((one) => one[key]))
  const { name, title } = method
  const figures = { max: over('max'), p99: over('p99'), p1: over('p1'), min: over('min') }
  const balance = {
    ...{ method: name, title, entries: hashes.length },
    ...figures,
    buildMs: builds.length > 0 ? figuresOf(builds) : undefined,
  }
  const excess = ((figures.max.median - 1) * 100).toFixed(1)
  if (!method.keepsTable)
    run.say(`${hashes.length} entries  ${title}: the fullest has ${excess} % over the average`)
  return { balance, before }
}

interface Failures {
  readonly sets: readonly Backend[][]
  readonly hashes: Uint32Array
  /** How many. */
  readonly failed: number
  readonly trials: number
  readonly random: () => number
}

async function measureFailures(
  run: HashingRun,
  method: Method,
  tables: Tables,
  { sets, hashes, failed, trials, random }: Failures,
): Promise<Resilience> {
  const found: Disruption[] = []
  const fullest: number[] = []
  for (let trial = 0; trial < trials; trial++) {
    await breathe(run)
    const set = trial % sets.length
    const backends = sets[set]
    const gone = new Set(
      shuffled(backends, random)
        .slice(0, failed)
        .map(({ slot }) => slot),
    )
    const { table } = await populate(method, backends, hashes, gone)
    found.push(disruptionOf(tables.before[set], table, gone))
    fullest.push(imbalanceOf(entriesOf(table, backends.length).filter((_, slot) => !gone.has(slot))).max)
  }
  const over = (key: keyof Disruption): Figures => figuresOf(found.map((one) => one[key]))
  const moved = over('moved')
  const { name, title } = method
  run.say(
    `${hashes.length} entries  ${title}, ${failed} failed: ${(moved.mean * 100).toFixed(2)} % moved besides`,
  )
  return {
    ...{ method: name, title, entries: hashes.length, failed, moved },
    ...{ changed: over('changed'), ofFailed: over('ofFailed'), maxAfter: figuresOf(fullest) },
  }
}

/** A turn of the loop, so that Ctrl-C is heard between two tables. */
async function breathe({ signal }: HashingRun): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  signal.throwIfAborted()
}
