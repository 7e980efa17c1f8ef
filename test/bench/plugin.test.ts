import { describe, expect, test } from 'vitest'
import { compareArms } from '../../bench/harness/compare-arms.ts'
import type { HookResults } from '../../bench/plugin/measure-hooks.ts'
import { measureHooks } from '../../bench/plugin/measure-hooks.ts'
import { findTarget } from '../../bench/plugin/target.ts'
import { addedCpu, hookSentences, hookTable } from '../../bench/plugin/words.ts'
import type { BenchResults, Block, Scenario } from '../../bench/report/bench-results.ts'
import { verdictInWords } from '../../bench/report/words.ts'
import { seededRandom } from '../../bench/stats/random.ts'
import { folderWith, runCli } from '../cli/run-cli.ts'
import { maxBytes, usualCounting } from '../conformance/allocation.ts'

const plan = { warmUpMs: 20, timeMs: 30, counting: usualCounting }
const never = new AbortController().signal

const pluginText = (kind: string, body: string, options = 'z.strictObject({})', more = ''): string =>
  `import { definePlugin, z } from 'millrace'
${more}
export default definePlugin({
  api: 1, kind: '${kind}', name: 'mine', options: ${options},
  create(context, options) { ${body} },
})
`

/** Measures a plugin that lies in a folder of a user, with nothing installed beside it. */
async function hooksOf(text: string, options?: string): Promise<HookResults> {
  const directory = folderWith({ 'mine.ts': text })
  const target = await findTarget({ plugin: 'mine.ts', directory, options, config: undefined })
  return measureHooks(target, plan, never)
}

const bytesOf = ({ rows }: HookResults, name: string): number | undefined =>
  rows.find((row) => row.name === name)?.measured.bytes

describe('hooks of a filter', () => {
  test('that makes an object for each request: its bytes; that makes none: 0', async () => {
    const found = await hooksOf(
      pluginText(
        'filter',
        `let last: unknown
        let seen = 0
        return {
          onRequest() { last = { a: seen, b: last === undefined, c: 1 } },
          onDone() { seen = (seen + 1) & 1023 },
        }`,
      ),
    )
    expect(found.failed).toEqual([])
    // Header, properties, elements and three fields, of 8 bytes or of 4.
    expect(bytesOf(found, 'onRequest')).toBeGreaterThanOrEqual(24)
    expect(bytesOf(found, 'onRequest')).toBeLessThanOrEqual(64)
    expect(bytesOf(found, 'onDone')).toBeLessThan(4)
    const target = { kind: 'filter', name: 'mine' } as never
    const [sentence] = hookSentences(target, found)
    expect(sentence).toMatch(/^allocates for every request: onRequest \(\d+ B\)$/)
    expect(hookTable(found).rows.map(([name]) => name)).toEqual([
      'onRequest',
      'onDone',
      'all hooks of a request',
    ])
  })

  test('find in later hooks what the first one kept for the exchange', async () => {
    const found = await hooksOf(
      pluginText(
        'filter',
        `return {
          onRequest(exchange) { exchange.state = exchange.request.path.length },
          onAttempt(exchange) { if (exchange.backend === undefined) throw new Error('no backend') },
          onResponse(exchange) { if (typeof exchange.state !== 'number') throw new Error('lost') },
          onDone(exchange) { if (exchange.response?.status !== 200 || exchange.outcome !== 'ok') throw new Error('bad') },
        }`,
      ),
    )
    expect(found.failed).toEqual([])
    expect(found.rows).toHaveLength(5)
  })

  test('that throw are named with what they throw; the others are measured', async () => {
    const found = await hooksOf(
      pluginText('filter', `return { onRequest() { throw new Error('no luck') }, onDone() {} }`),
    )
    expect(found.failed).toContainEqual(expect.objectContaining({ name: 'onRequest', message: 'no luck' }))
    expect(hookSentences({ kind: 'filter', name: 'mine' } as never, found)[0]).toContain(
      'onRequest threw: no luck',
    )
  })

  test('that return promises are awaited, that answer or log are said to', async () => {
    const found = await hooksOf(
      pluginText(
        'filter',
        `return {
          onRequest(exchange) { exchange.respond({ status: 204 }); context.log.warn('so it goes') },
          async onResponse() { await null },
        }`,
      ),
    )
    expect(found.rows.map(({ name }) => name)).toContain('onResponse, awaited')
    const sentences = hookSentences({ kind: 'filter', name: 'mine' } as never, found).join('\n')
    expect(sentences).toContain('onRequest: it answers the request itself')
    expect(sentences).toMatch(/it logged \d+ warnings meanwhile, which costs: so it goes/)
  })
})

describe('hooks of an algorithm', () => {
  const first = (pick: string) =>
    pluginText('algorithm', `let view: any; return { update(next) { view = next }, pick() { ${pick} } }`)

  test('are a pick at 2 to 10,000 backends, and the update', async () => {
    const found = await hooksOf(first('return view.available[0]'))
    expect(found.rows.map(({ name }) => name)).toEqual([
      ...['2', '10', '100', '1,000', '10,000'].map((size) => `pick, ${size} backends`),
      'update, 1,000 backends',
    ])
    for (const row of found.rows.filter(({ hot }) => hot)) expect(row.measured.bytes).toBeLessThan(4)
    expect(hookSentences({ kind: 'algorithm', name: 'mine' } as never, found)).toEqual(['no hook allocates'])
  })

  test('a slow pick, of which there are few calls to share what counting takes, allocates nothing either', {
    timeout: 60_000,
  }, async () => {
    const slow = `let sum = 0
      for (let i = 0; i < 60_000; i++) sum = (Math.imul(sum, 31) + i) | 0
      return view.available[sum & 1]`
    const found = await hooksOf(first(slow))
    expect(found.failed).toEqual([])
    for (const row of found.rows.filter(({ hot }) => hot)) expect(row.measured.bytes).toBeLessThan(maxBytes)
  })

  test('a pick of nothing is said to be wrong', async () => {
    const found = await hooksOf(first('return undefined'))
    expect(found.failed[0]).toMatchObject({
      name: 'pick, 2 backends',
      message: 'pick returned undefined although 2 backends are available',
    })
  })
})

test('a breaker that never opens is measured where it can be', async () => {
  const found = await hooksOf(
    pluginText(
      'circuit-breaker',
      `return { for: () => ({ state: 'closed', tryAcquire: () => 1, settle() {} }) }`,
    ),
  )
  expect(found.rows.map(({ name }) => name)).toEqual([
    'tryAcquire, settle: success',
    'tryAcquire, settle: one failure in four',
  ])
  expect(found.failed[0].message).toBe('it refuses nothing after 100 failures, with 2000 in flight')
})

test('a built-in is named by its name, and a kind without hot hooks is told', async () => {
  const directory = folderWith({})
  const request = { directory, options: '{"path":"/up"}', config: undefined }
  const target = await findTarget({ plugin: 'http-probe', ...request })
  const found = await measureHooks(target, plan, never)
  expect(hookSentences(target, found)).toEqual([
    'a health-source has no hook that a request waits for: nothing to measure in nanoseconds',
  ])
})

describe('options', () => {
  const text = pluginText('filter', 'return { onRequest() {} }', 'z.strictObject({ rate: z.number() })')
  const config = `
plugins: [./mine.ts]
listeners: { web: { address: 127.0.0.1:1 } }
filters: [{ use: mine, rate: 7, failOpen: true }]
routes: [{ service: a }]
services: { a: { backends: ["http://127.0.0.1:2"] } }
`
  const directoryWith = () =>
    folderWith({ 'mine.ts': text, 'lb.yaml': config, 'other.yaml': config.replace(/filters:.*/, '') })
  const find = (directory: string, more: object) =>
    findTarget({ plugin: './mine.ts', directory, options: undefined, config: undefined, ...more })

  test('come as JSON, or from a config that uses the plugin', async () => {
    const directory = directoryWith()
    expect((await find(directory, { options: '{"rate":5}' })).options).toEqual({ rate: 5 })
    expect((await find(directory, { config: 'lb.yaml' })).options).toEqual({ rate: 7 })
  })

  test('that the slot owns stay out of the plugin', async () => {
    const target = await find(directoryWith(), { options: '{"rate":5,"failOpen":true}' })
    expect(target).toMatchObject({ options: { rate: 5 }, written: { rate: 5, failOpen: true } })
  })

  test.each<[string, object, RegExp]>([
    ['no JSON', { options: '{rate:5}' }, /--options is not JSON: /],
    ['no object', { options: '[1]' }, /--options: an object expected.*not \[1\]/],
    ['missing', {}, /Options of the filter "mine": rate: /],
    ['misspelt', { options: '{"rat":1,"rate":5}' }, /at --options: rat: unknown key "rat"; known: rate, /],
    ['twice', { options: '{"rate":5}', config: 'lb.yaml' }, /--options and --config both/],
    ['a config without it', { config: 'other.yaml' }, /uses no filter named "mine"/],
    ['no config', { config: 'none.yaml' }, /none\.yaml/],
  ])('%s: said by name', async (_what, more, message) => {
    await expect(find(directoryWith(), more)).rejects.toThrow(message)
  })
})

describe('what cannot be measured ends with 3 and says why', () => {
  const cases: [what: string, file: string, argument: string, message: RegExp][] = [
    ['no such file', '', './absent.ts', /there is no file .*absent\.ts/],
    ['no plugin', 'export const a = 1', './mine.ts', /has no default export, but exports a/],
    ['another kind', pluginText('filtre', ''), './mine.ts', /kind "filtre".*did you mean "filter"/],
    ['throws in create', pluginText('filter', `throw new Error('no db')`), './mine.ts', /create.*no db/s],
    ['slip in a built-in', '', 'round-robbin', /did you mean "round-robin"/],
  ]
  test.each(cases)('%s', async (_what, text, argument, message) => {
    const directory = folderWith({ 'mine.ts': text })
    const { status, err } = await runCli(['bench', 'plugin', argument, '--quick'], { directory })
    expect(err).toMatch(message)
    expect(status).toBe(3)
  })

  test('a wrong option of the command, too', async () => {
    expect((await runCli(['bench', 'plugin', 'headers', '--quik'])).status).toBe(3)
    expect((await runCli(['bench', 'calibrate', '--runs', 'many'])).status).toBe(3)
  })
})

describe('the CPU that a plugin adds', () => {
  const of = (kind: string, expect?: number) => ({ kind, name: 'mine', requests: { headers: {}, expect } }) as never
  const target = of('filter')
  /** As `compareArms` has them; `spread` of the twelve differences around their median, in µs. */
  const resultsOf = (difference: number, spread: number, count = 12) => {
    const rounds = Array.from({ length: count }, (_, round) => round)
    const blocks = (arm: string, added: number) =>
      rounds.map((round) => ({
        ...{ arm, scenario: 'small', round, failed: 0, faults: [] },
        values: { cpu: 20 + added + (added === 0 ? 0 : spread * (round / (count - 1) - 0.5)) },
      }))
    const all = [...blocks('core', 0), ...blocks('core+mine', difference)] as unknown as Block[]
    const comparisons = compareArms([{ name: 'small' } as Scenario], all, {
      ...{ arms: ['core', 'core+mine'], confidence: 0.99, random: seededRandom(1), baseline: 'core' },
      change: (metric) => (metric === 'cpu' ? 0 : undefined),
    })
    return { confidence: 0.99, comparisons, blocks: [] } as unknown as BenchResults
  }
  const said = (results: BenchResults, plugin = target) => addedCpu(plugin, 'core+mine', results)

  test('is real where the interval excludes nothing, within the threshold too, with its bounds', () => {
    // 5 % of 20 µs are 1 µs.
    const small = resultsOf(0.7, 0.8)
    expect(said(small).judgement).toBe('fine')
    expect(said(small).sentence).toMatch(
      /^mine adds 0\.700 µs \(\S+–\S+\) of CPU per request: real \(20\.0 µs without\)$/,
    )
    expect(said(resultsOf(-1.3, 0.8), of('algorithm')).sentence).toMatch(
      /^mine saves 1\.30 µs \(\S+–\S+\) of CPU per request: real \(20\.0 µs without, with round-robin\)$/,
    )
  })

  test('is none where the interval holds nothing and lies within the threshold', () => {
    const { judgement, sentence } = said(resultsOf(0.1, 0.8))
    expect(judgement).toBe('fine')
    expect(sentence).toMatch(
      /^no difference in CPU per request: −0\.\d+ … \+0\.\d+ µs, all of it within ±5 % \(20\.0 µs without\)$/,
    )
  })

  test('is unclear where the interval holds nothing and more, or too few blocks count', () => {
    const coarse = said(resultsOf(0.1, 12))
    expect(coarse.judgement).toBe('too noisy')
    expect(coarse.sentence).toMatch(
      /^unclear whether mine costs anything: −\d\.\d+ … \+\d\.\d+ µs of CPU per request; \S+ µs \(\S+ %\) or more would most/,
    )
    expect(said(resultsOf(1.3, 0.8, 7))).toEqual({
      judgement: 'too noisy',
      sentence: 'too noisy to say what it costs: 7 blocks of each arm count, 8 are needed',
    })
  })

  test.each([
    [0.7, 0.8],
    [-0.7, 0.8],
    [1.5, 0.8],
    [0.1, 0.8],
    [0.1, 12],
    [0.6, 3],
    [1.3, 0.8, 7],
  ])('is said by the verdict that stands in the table: %f ± %f', (difference, spread, count = 12) => {
    const results = resultsOf(difference, spread, count)
    const [{ outcome }] = results.comparisons
    const words = { worse: /adds .*: real/, better: /saves .*: real/, same: /^no difference/, unclear: /unclear|too noisy/ }
    expect(said(results).sentence).toMatch(words[outcome])
    expect(said(results).judgement).toBe(outcome === 'unclear' ? 'too noisy' : 'fine')
    const verdict = verdictInWords(results.comparisons[0], 0.99)
    expect(verdict).toMatch(new RegExp(`^${outcome}: `))
    if (outcome === 'worse') expect(verdict).toMatch(/the whole interval lies on one side of zero$/)
  })

  test('names the answer that it gives itself, where that was measured', () => {
    expect(said(resultsOf(-8, 0.8), of('filter', 401)).sentence).toMatch(
      /^mine saves .*\(20\.0 µs without\); it answers 401 itself, and no backend is asked$/,
    )
  })

  test('is not said where requests fail', () => {
    const block = { arm: 'core+mine', failed: 5, faults: ['5 of 9 requests failed'] }
    const results = { ...resultsOf(1, 2), blocks: [block, block] } as unknown as BenchResults
    expect(said(results)).toEqual({
      judgement: 'unusable',
      sentence:
        'not measured: requests failed with it in 2 blocks, such as: 5 of 9 requests failed; ' +
        'answers other than 2xx and 3xx count as failed (see --header and --expect)',
    })
  })
})
