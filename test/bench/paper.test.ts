import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Backend } from 'millrace'
import { afterAll, describe, expect, test } from 'vitest'
import { type HashingPlan, hashingPlans, measureHashing, randomBackends } from '../../bench/paper/hashing.ts'
import { disruptionOf, entriesOf, figuresOf, imbalanceOf } from '../../bench/paper/measures.ts'
import { hashesOf, type Method, methods, populate } from '../../bench/paper/methods.ts'
import type { PaperResults } from '../../bench/paper/results.ts'
import { findPaperPart, paperFiles } from '../../bench/paper/run.ts'
import type { SizingPlan } from '../../bench/paper/sizing.ts'
import { seededRandom } from '../../bench/stats/random.ts'
import { hashString, mix32 } from '../../plugins/lib/hash.ts'
import { runCli } from '../cli/run-cli.ts'
import { builtin, parsed } from '../plugins/make.ts'

const out = mkdtempSync(join(tmpdir(), 'millrace-paper-'))
afterAll(() => rmSync(out, { recursive: true, force: true }))

const entries = 499
const backends = randomBackends(7, seededRandom(1))
const signal = new AbortController().signal
const say = (): void => {}

/** Who has an entry, found the slow way from what each plugin builds or from its definition. */
function byHand(method: Method, all: readonly Backend[]): number[] {
  const plugin = builtin('algorithm', method.plugin)
  const bytes = plugin.buildTable?.(all, parsed(plugin, method.options(entries)) as never)?.slice()
  const hashes = Array.from({ length: entries }, (_, entry) => method.hash(entry, entries))
  if (method.plugin === 'maglev') return [...new Uint16Array(bytes!.buffer)].map((index) => all[index].slot)
  if (method.plugin === 'ring-hash') {
    const words = new Uint32Array(bytes!.buffer)
    const points = words.subarray(0, words.length / 2)
    return hashes.map((hash) => {
      const next = points.findIndex((point) => point >= hash)
      return all[words[points.length + Math.max(0, next)]].slot
    })
  }
  return hashes.map((hash) => {
    const draws = all.map(({ url }) => {
      const inner = Math.imul((hash | 0) ^ hashString(url, 0x6f666673), hashString(url, 0x72656e64) | 1)
      return mix32(inner) >>> 0
    })
    return all[draws.indexOf(Math.max(...draws))].slot
  })
}

const without = (gone: ReadonlySet<number>): Backend[] => backends.filter(({ slot }) => !gone.has(slot))
const tableOf = async (method: Method, gone?: ReadonlySet<number>): Promise<Uint32Array> =>
  (await populate(method, backends, hashesOf(method, entries), gone)).table
const anew = methods.filter(({ keepsTable }) => !keepsTable)

describe.each(anew.map((method) => [method.title, method] as const))('%s', (_, method) => {
  test('has the entries that its plugin gives them, with all backends and without some', async () => {
    expect([...(await tableOf(method))]).toEqual(byHand(method, backends))
    const gone = new Set([2, 5])
    expect([...(await tableOf(method, gone))]).toEqual(byHand(method, without(gone)))
  })

  test('balance and disruption are what counting one by one gives', async () => {
    const gone = new Set([0, 3])
    const [before, after] = [byHand(method, backends), byHand(method, without(gone))]
    const counts = backends.map(({ slot }) => before.filter((owner) => owner === slot).length)
    const found = imbalanceOf(entriesOf(await tableOf(method), backends.length))
    expect(found.max).toBeCloseTo((Math.max(...counts) * 7) / entries, 12)
    expect(found.min).toBeCloseTo((Math.min(...counts) * 7) / entries, 12)
    const changed = before.filter((owner, entry) => owner !== after[entry]).length
    const moved = before.filter((owner, entry) => !gone.has(owner) && owner !== after[entry]).length
    const disruption = disruptionOf(await tableOf(method), await tableOf(method, gone), gone)
    expect(disruption.changed).toBeCloseTo(changed / entries, 12)
    expect(disruption.moved).toBeCloseTo(moved / entries, 12)
    expect(disruption.ofFailed).toBeCloseTo((counts[0] + counts[3]) / entries, 12)
    // §5.3: the others guarantee it; Maglev does not.
    if (method.plugin === 'maglev') expect(moved).toBeGreaterThan(0)
    else expect(moved).toBe(0)
  })
})

test('a table that is kept moves nothing but what the failed had', async () => {
  const kept = methods.find(({ keepsTable }) => keepsTable)!
  const gone = new Set([1, 6])
  const after = await tableOf(kept, gone)
  expect([...after].filter((owner) => gone.has(owner))).toEqual([])
  expect(disruptionOf(await tableOf(kept), after, gone).moved).toBe(0)
})

test('figures of a made-up table', () => {
  const before = Uint32Array.of(0, 0, 0, 1, 1, 2, 2, 2, 2, 2)
  expect([...entriesOf(before, 3)]).toEqual([3, 2, 5])
  expect(imbalanceOf(Uint32Array.of(3, 2, 5))).toEqual({ max: 1.5, p99: 1.5, p1: 0.6, min: 0.6 })
  const after = Uint32Array.of(0, 0, 2, 0, 2, 2, 2, 2, 2, 0)
  expect(disruptionOf(before, after, new Set([1]))).toEqual({ changed: 0.4, ofFailed: 0.2, moved: 0.2 })
  expect(figuresOf([4, 1, 1])).toEqual({ median: 1, min: 1, max: 4, mean: 2, count: 3 })
})

test('both table sizes of the paper are ones that maglev takes', () => {
  for (const tableSize of hashingPlans.full.sizes)
    expect(parsed(builtin('algorithm', 'maglev'), { tableSize })).toEqual({ tableSize })
  expect(hashingPlans.full.sizes).toEqual([65_537, 655_373])
})

const small: HashingPlan = {
  ...{ backends: 20, sizes: [251, 2003], sets: 3 },
  ...{ failures: [1, 4], trials: [6, 4], checks: [2, 1] },
}

describe('a run', () => {
  const run = () => measureHashing({ plan: small, seed: 5, signal, say })

  test('shows even shares and some moves with Maglev, uneven ones and no moves with the others', async () => {
    const { balance, resilience } = await run()
    expect(balance).toHaveLength(anew.length * 2)
    expect(resilience).toHaveLength(methods.length * 2 * 2)
    for (const { method, entries: size, max, min } of balance) {
      const average = size / 20
      const even = [Math.floor(average) / average, Math.ceil(average) / average]
      if (method === 'maglev') expect([min.min, max.max]).toEqual(even)
      else expect(max.min).toBeGreaterThan(even[1])
    }
    for (const { method, moved, changed, ofFailed, failed } of resilience) {
      if (method === 'maglev') expect(moved.mean).toBeGreaterThan(0)
      else expect(moved.max).toBe(0)
      expect(changed.mean).toBeCloseTo(ofFailed.mean + moved.mean, 12)
      expect(Math.abs(ofFailed.mean - failed / 20)).toBeLessThan(0.1)
    }
  })

  test('with the same seed gives the same figures', async () => {
    const [one, other] = await Promise.all([run(), run()])
    expect(one.resilience).toEqual(other.resilience)
    expect(one.balance.map(({ max, min }) => [max, min])).toEqual(
      other.balance.map(({ max, min }) => [max, min]),
    )
    const third = await measureHashing({ plan: small, seed: 6, signal, say })
    expect(third.resilience).not.toEqual(one.resilience)
  })

  test('ends when it is told to', async () => {
    const aborted = AbortSignal.abort(new Error('interrupted'))
    await expect(measureHashing({ plan: small, seed: 5, signal: aborted, say })).rejects.toThrow(
      'interrupted',
    )
  })
})

describe('millrace bench paper', () => {
  test('refuses a part that is not there', async () => {
    expect(() => findPaperPart('other')).toThrow('maglev, sizing')
    expect(await runCli(['bench', 'paper', '--only', 'other'])).toMatchObject({
      status: 3,
      err: 'millrace bench: --only: unknown part "other"; there are maglev, sizing\n',
    })
  })

  test('says what the paper says beside what was found, and what the rig could not do', async () => {
    const hashing = await measureHashing({ plan: { ...small, sizes: [65_537, 251] }, seed: 5, signal, say })
    const figures = (value: number) => figuresOf([value])
    const sizing: SizingPlan = {
      ...{ arms: ['millrace'], connections: [64], rounds: 1, seconds: 1 },
      ...{ firstWarmupSeconds: 1, warmupSeconds: 1, openWarmupSeconds: 1 },
    }
    const at = {
      ...{ connections: 64, held: 0, rssMiB: figures(90), kernelMiB: 0, cpuMicros: figures(25) },
      ...{ p50: figures(0.5), p99: figures(4), serviceP99: figures(2), lagP99: figures(1), overloaded: 1 },
    }
    const sized = {
      ...{ arm: 'millrace', saturation: figures(48_000), cpuMicros: figures(20), sustained: 20_000 },
      ...{ limit: 'rig', at: [at] },
    }
    const { 'paper.md': text } = paperFiles({
      ...{ schema: 1, startedAt: '2026-01-01T00:00:00.000Z', quick: false, seed: 5, notes: ['A note.'] },
      machine: { cpu: 'A', cores: 2, loadAtStart: 0, commit: 'abc', kernel: '6', node: 'v24' },
      hashing,
      sizing: { ...sizing, seed: 5, aim: 0.75, sized: [sized] },
    } as unknown as PaperResults)
    expect(text).toMatch(
      /Rendezvous, 65,537 entries: .* the paper’s \+49\.5 % is more than what any of 3 sets/,
    )
    expect(text).toContain('almost perfect')
    expect(text).toContain('> A note.')
    expect(text).toContain('The sustained rates are the rig’s')
    // 48,000 × 20 µs and 20,000 × 25 µs a second; 1,000,000 ÷ 20 µs; 32,000 × 20 µs.
    expect(text).toMatch(
      /\| Millrace \| 48,000 \| 20 \| 96 % \| 50,000 \| 0\.64 \| 20,000 \| the load generator \| 50 % \|/,
    )
    expect(text).toContain('queues grew in 1 of 1 measurements')
  })

  test('as a command writes its files', { timeout: 300_000 }, async () => {
    const directory = join(out, 'command')
    const ran = await runCli(['bench', 'paper', '--only', 'maglev', '--quick', '--out', directory])
    expect(ran).toMatchObject({ status: 0, err: '' })
    expect(ran.out).toContain(`written to ${directory}: paper.json, paper.md, paper-maglev.svg`)
    const { hashing } = JSON.parse(readFileSync(join(directory, 'paper.json'), 'utf8')) as PaperResults
    expect(hashing?.sizes).toEqual([65_537, 655_373])
    const evenest = hashing?.balance.filter(({ max }) => max.max < 1.01).map(({ method }) => method)
    expect(evenest).toEqual(['maglev', 'maglev'])
  })
})
