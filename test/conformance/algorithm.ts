/** Tests of kind `algorithm`. */
import { strict as assert } from 'node:assert'
import type { Algorithm, Backend } from '../../core/contracts/index.ts'
import { parseOptions } from '../../core/host/options.ts'
import { bytesPerCall, maxBytes } from './allocation.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import type { Stage } from './stage.ts'
import { chiSquare, chiSquareLimit } from './statistics.ts'
import { seeded } from './time.ts'
import { numbered, Request, View } from './view.ts'

export interface AlgorithmFixture {
  /**
   * How picks are to be spread over backends that are alike but for their weight. `weighted` (default): by weight; `even`:
   * weights are ignored; `uneven`: on purpose not (a primary and its spares).
   */
  readonly shares: 'weighted' | 'even' | 'uneven'
  /** True: the choice depends on `request.hash`. The same key goes to the same backend, and few keys move when one comes or goes. */
  readonly hashed: boolean
}

type Scene = Stage<'algorithm'>

/** A view with the table that the host would have built. */
export function viewOf(
  { subject: { plugin, options } }: Scene,
  all: readonly Backend[],
  available: readonly Backend[] = all.filter(({ weight }) => weight > 0),
): View {
  const table = plugin.buildTable?.(all, parseOptions(plugin as never, options) as never)
  return new View(all, available, table)
}

export async function madeWith(stage: Scene, view: View, seed = 1): Promise<Algorithm> {
  const { instance } = await stage.make({ seed })
  instance.update(view)
  return instance
}

export const exerciseAlgorithm: Exercise<'algorithm'> = {
  use(stage, { instance }) {
    const view = viewOf(stage, numbered(5))
    const request = new Request(seeded(2))
    instance.update(view)
    for (let i = 0; i < 50; i++) {
      const backend = instance.pick(request.next(seeded(i)))
      if (backend) instance.settled?.(backend, 'success', 1)
    }
  },
}

export const algorithmCases: readonly Case<'algorithm'>[] = [
  {
    name: 'picks nobody when nobody is there, or left',
    async run(stage) {
      const instance = await madeWith(stage, viewOf(stage, []))
      const request = new Request(seeded(1))
      const nobody = (why: string): void => assert.equal(instance.pick(request), undefined, why)
      nobody('there are no backends')
      const all = numbered(3)
      instance.update(viewOf(stage, all, []))
      nobody('none is available')
      instance.update(viewOf(stage, all))
      for (const backend of all) request.others.add(backend)
      nobody('all are excluded')
    },
  },
  {
    name: 'picks the only one, and nobody when it is excluded',
    async run(stage) {
      const [only] = numbered(1)
      const instance = await madeWith(stage, viewOf(stage, [only]))
      const request = new Request(seeded(1))
      for (let i = 0; i < 20; i++) assert.equal(instance.pick(request.next(seeded(i))), only)
      request.out = only
      assert.equal(instance.pick(request), undefined)
    },
  },
  {
    name: 'never picks an unavailable backend while another is left',
    run: (stage) => shuffled(stage, 0.5, 0),
  },
  {
    name: 'never picks an excluded backend while another is left',
    run: (stage) => shuffled(stage, 1, 0.7),
  },
  {
    name: 'finds the last one that is left of many',
    async run(stage) {
      const all = numbered(300)
      const instance = await madeWith(stage, viewOf(stage, all))
      const request = new Request(seeded(1))
      for (const backend of all) if (backend !== all[211]) request.others.add(backend)
      for (let i = 0; i < 30; i++) assert.equal(instance.pick(request.next(seeded(i))), all[211])
    },
  },
  {
    name: 'takes what settles: every outcome, no first byte, backends that have left',
    async run(stage) {
      const all = numbered(4)
      const instance = await madeWith(stage, viewOf(stage, all))
      const request = new Request(seeded(1))
      for (const outcome of ['success', 'failure', 'cancelled'] as const)
        for (const ms of [0, 0.2, 5000, Number.NaN]) {
          const backend = instance.pick(request.next(seeded(ms)))
          assert(backend)
          instance.settled?.(backend, outcome, ms)
        }
      instance.update(viewOf(stage, all.slice(1)))
      for (const outcome of ['success', 'failure', 'cancelled'] as const)
        instance.settled?.(all[0], outcome, 3)
      for (let i = 0; i < 50; i++) assert.notEqual(instance.pick(request.next(seeded(i))), all[0])
    },
  },
  {
    name: 'spreads exchanges as it says (χ², seeded)',
    timeoutMs: 60_000,
    async run(stage) {
      const shares = stage.fixture.shares ?? 'weighted'
      if (shares === 'uneven') return void (await madeWith(stage, viewOf(stage, numbered(2))))
      for (const [seed, weight] of [1, 2, 3].flatMap(
        (each) =>
          [
            [each, () => 1],
            [each, byThree],
          ] as const,
      )) {
        const all = numbered(9, weight)
        const counts = await countPicks(stage, all, 18_000, seed)
        const expected = all.map((backend) => (shares === 'even' ? 1 : backend.weight))
        if (stage.fixture.hashed) near(counts, expected)
        else {
          const found = chiSquare(counts, expected)
          const what = `seed ${seed}, weights ${all.map((backend) => backend.weight)}: picks ${counts}`
          assert(found <= chiSquareLimit(all.length - 1), `χ² is ${found.toFixed(1)}; ${what}`)
        }
      }
    },
  },
  {
    name: 'follows a weight that changes while it runs',
    async run(stage) {
      if ((stage.fixture.shares ?? 'weighted') !== 'weighted') return
      const light = numbered(4)
      const instance = await madeWith(stage, viewOf(stage, light))
      const heavy = light.map((backend, index) => (index === 2 ? { ...backend, weight: 5 } : backend))
      const before = tally(instance, viewOf(stage, light), 4000, seeded(5))
      const after = tally(instance, viewOf(stage, heavy), 4000, seeded(6))
      const grown = after[2] / before[2]
      assert(grown > 1.6, `its weight is 5 instead of 1, its picks ${after[2]} instead of ${before[2]}`)
    },
  },
  {
    name: 'its only chance is context.random(): the same seed, the same picks',
    async run(stage) {
      const all = numbered(7, byThree)
      const runs: unknown[] = []
      for (let round = 0; round < 2; round++) {
        const instance = await madeWith(stage, viewOf(stage, all), 9)
        const random = seeded(4)
        const request = new Request(random)
        runs.push(Array.from({ length: 300 }, () => instance.pick(request.next(random))?.slot))
      }
      assert.deepEqual(runs[0], runs[1])
    },
  },
  {
    name: 'takes new options without losing its backends',
    async run(stage) {
      const all = numbered(3)
      const instance = await madeWith(stage, viewOf(stage, all))
      instance.reconfigure?.(parseOptions(stage.subject.plugin as never, stage.subject.options) as never)
      assert(instance.pick(new Request(seeded(1))), 'picks nobody after reconfigure')
    },
  },
  {
    name: 'a pick allocates nothing',
    timeoutMs: 120_000,
    async run(stage) {
      for (const count of [3, 100]) {
        const all = numbered(count, byThree)
        const instance = await madeWith(stage, viewOf(stage, all))
        const request = new Request(seeded(7))
        const bytes = await bytesPerCall((index) => {
          request.at = index
          request.out = index % 2 === 0 ? all[index % count] : undefined
          return instance.pick(request)
        })
        assert(
          bytes < maxBytes,
          `${bytes.toFixed(1)} bytes a pick with ${count} backends; at most ${maxBytes}`,
        )
      }
    },
  },
]

const byThree = (index: number): number => 1 + (index % 3)

/** Views and exclusions at random, of a few, of many, and of all. */
async function shuffled(stage: Scene, available: number, excluded: number): Promise<void> {
  for (const count of [2, 3, 17, 80]) {
    const random = seeded(count)
    const all = numbered(count, () => Math.floor(random() * 4))
    const instance = await madeWith(stage, viewOf(stage, all))
    const { table } = viewOf(stage, all)
    const request = new Request(random)
    for (let round = 0; round < 40; round++) {
      const alive = all.filter(({ weight }) => weight > 0 && random() < available * (0.3 + random()))
      const view = new View(all, alive, table)
      for (const { slot } of all) view.load[slot] = Math.floor(random() * 3)
      instance.update(view)
      for (let pick = 0; pick < 25; pick++) {
        request.others.clear()
        for (const backend of all) if (random() < excluded) request.others.add(backend)
        check(instance.pick(request.next(random)), view, request)
      }
    }
  }
}

function check(picked: Backend | undefined, view: View, request: Request): void {
  const left = view.available.filter((backend) => !request.excluded(backend))
  assert(picked || left.length === 0, `picked nobody although ${left.length} are left`)
  if (!picked) return
  assert(view.isAvailable(picked), `picked ${picked.id}, which is unavailable`)
  assert(!request.excluded(picked), `picked ${picked.id}, which is excluded`)
}

/** Picks by backend, while each exchange lasts as long as the others: what is in flight follows the picks. */
function tally(instance: Algorithm, view: View, picks: number, random: () => number): number[] {
  instance.update(view)
  const counts = view.all.map(() => 0)
  const indexOf = new Map(view.all.map((backend, index) => [backend, index]))
  const flying: Backend[] = []
  const request = new Request(random)
  for (let pick = 0; pick < picks; pick++) {
    const backend = instance.pick(request.next(random))
    assert(backend, 'picked nobody')
    counts[indexOf.get(backend) ?? -1]++
    view.load[backend.slot]++
    flying.push(backend)
    if (flying.length <= view.all.length * 4) continue
    const done = flying.shift() as Backend
    view.load[done.slot]--
    instance.settled?.(done, 'success', 5)
  }
  return counts
}

async function countPicks(stage: Scene, all: Backend[], picks: number, seed: number): Promise<number[]> {
  const view = viewOf(stage, all)
  return tally(await madeWith(stage, view, seed), view, picks, seeded(seed + 100))
}

/** Points on a ring are never quite even; nobody may have half, or twice, of what is his. */
function near(counts: readonly number[], shares: readonly number[]): void {
  const total = counts.reduce((sum, count) => sum + count, 0)
  const weight = shares.reduce((sum, share) => sum + share, 0)
  for (const [index, count] of counts.entries()) {
    const expected = (total * shares[index]) / weight
    assert(
      count > expected / 2 && count < expected * 2,
      `backend ${index} has ${count} of ${expected.toFixed(0)} picks`,
    )
  }
}
