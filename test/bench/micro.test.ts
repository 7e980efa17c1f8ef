import { describe, expect, test } from 'vitest'
import { groups, type MicroCase, titleOf } from '../../bench/micro/case.ts'
import { casesOf } from '../../bench/micro/cases.ts'
import { type Measured, measure } from '../../bench/micro/measure.ts'
import { type MicroResults, microTables, rowOf } from '../../bench/micro/results.ts'
import { builtins } from '../../plugins/manifest.ts'

const plan = { warmUpMs: 20, timeMs: 40, counting: { warmUpMs: 250, tries: 6 } }
const cases = await casesOf()

describe('measure', () => {
  test('sees the object that a call makes, and none where there is none', async () => {
    const allocating = await measure({ run: (index) => ({ index }) }, 1000, plan)
    const pure = await measure({ run: (index) => index & 7 }, 1000, plan)
    expect(allocating.bytes).toBeGreaterThanOrEqual(16)
    expect(pure.bytes).toBeLessThan(4)
  })

  test('sees garbage that was collected meanwhile', async () => {
    const [pieces, length] = [1000, 500]
    const bytes = pieces * length * 8
    const many = { run: () => Array.from({ length: pieces }, () => new Array(length).fill(0)) }
    const { bytes: found } = await measure(many, 1, plan)
    expect(found / bytes).toBeGreaterThan(0.9)
    expect(found / bytes).toBeLessThan(3)
  })

  test('finds that more work takes longer, by about as much', async () => {
    const spin = (rounds: number) => ({
      run(index: number) {
        let mixed = index
        for (let round = 0; round < rounds; round++) mixed = (Math.imul(mixed, 31) + round) | 0
        return mixed
      },
    })
    const [short, long] = [await measure(spin(100), 1000, plan), await measure(spin(2000), 1000, plan)]
    expect(long.ns).toBeGreaterThan(short.ns * 5)
    expect(short.q1).toBeLessThanOrEqual(short.ns)
    expect(short.q3).toBeGreaterThanOrEqual(short.ns)
  })

  test('awaits a sample of one call, and takes the time that it names', async () => {
    const named = await measure({ run: async () => ({ overriddenDuration: 3 }) }, 1, plan)
    expect(named.ns).toBeCloseTo(3e6)
  })
})

describe('cases', () => {
  test.each([
    ['algorithm', 'algorithms'],
    ['circuit-breaker', 'breakers'],
    ['filter', 'filters'],
  ])('every built-in %s has one', (kind, group) => {
    const names = builtins.filter((plugin) => plugin.kind === kind).map(({ name }) => name)
    const covered = cases.filter((one) => one.group === group).map(({ subject }) => subject)
    expect(new Set(covered)).toEqual(new Set(names))
  })

  test('titles are unique, and no group is empty', () => {
    expect(new Set(cases.map(titleOf)).size).toBe(cases.length)
    expect(new Set(cases.map(({ group }) => group))).toEqual(new Set(groups))
  })

  test.each(cases.map((one): [string, MicroCase] => [titleOf(one), one]))('%s runs', async (_title, one) => {
    const running = await one.prepare()
    try {
      for (let index = 0; index < (one.calls === 1 ? 3 : 300); index++) await running.run(index)
    } finally {
      running.close?.()
    }
  })
})

test('a table marks what is over its target', () => {
  const measured: Measured = { ns: 200, q1: 190, q3: 210, bytes: 0.4, samples: 9, calls: 1000 }
  const picks = cases.filter(({ targetNs }) => targetNs !== undefined)
  const results = { rows: picks.map((one) => rowOf(one, measured)) } as unknown as MicroResults
  const [table] = microTables(results)
  const verdicts = Object.fromEntries(table.rows.map((row) => [row[0].split(':')[0], row[4]]))
  expect(verdicts).toMatchObject({ random: '150 ns, missed', maglev: '300 ns' })
  expect(table.rows[0]).toEqual(expect.arrayContaining(['200 ns', '190 ns – 210 ns', '0 B']))
})
