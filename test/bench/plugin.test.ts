import { describe, expect, test } from 'vitest'
import { type Plan, plans } from '../../bench/micro/measure.ts'
import type { HookResults } from '../../bench/plugin/measure-hooks.ts'
import { measureHooks } from '../../bench/plugin/measure-hooks.ts'
import { findTarget } from '../../bench/plugin/target.ts'
import { hookSentences, hookTable } from '../../bench/plugin/words.ts'
import { folderWith, runCli } from '../cli/run-cli.ts'
import { maxBytes, usualCounting } from '../conformance/allocation.ts'

const plan: Plan = { warmUpMs: 20, timeMs: 30, counting: usualCounting }
/** Where it is not asked what they allocate. */
const rough: Plan = { ...plan, counting: plans.quick.counting }
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
async function hooksOf(text: string, how: Plan = plan): Promise<HookResults> {
  const directory = folderWith({ 'mine.ts': text })
  const target = await findTarget({ plugin: 'mine.ts', directory, options: undefined, config: undefined })
  return measureHooks(target, how, never)
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
      rough,
    )
    expect(found.failed).toEqual([])
    expect(found.rows).toHaveLength(5)
  })

  test('that throw are named with what they throw; the others are measured', async () => {
    const found = await hooksOf(
      pluginText('filter', `return { onRequest() { throw new Error('no luck') }, onDone() {} }`),
      rough,
    )
    expect(found.failed).toContainEqual(expect.objectContaining({ name: 'onRequest', message: 'no luck' }))
    expect(hookSentences({ kind: 'filter', name: 'mine' } as never, found)[0]).toContain(
      'onRequest threw: no luck',
    )
  })

  test('that never settle are late, and have not thrown', { timeout: 60_000 }, async () => {
    const found = await hooksOf(pluginText('filter', 'return { onRequest: () => new Promise(() => {}) }'))
    expect(found.failed).toMatchObject([{ name: 'onRequest, awaited', late: true }])
    expect(hookSentences({ kind: 'filter', name: 'mine' } as never, found)[0]).toMatch(
      /^onRequest, awaited was late: not done in 5000 ms/,
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
      rough,
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
      for (let i = 0; i < 20_000; i++) sum = (Math.imul(sum, 31) + i) | 0
      return view.available[sum & 1]`
    const found = await hooksOf(first(slow))
    expect(found.failed).toEqual([])
    for (const row of found.rows.filter(({ hot }) => hot)) expect(row.measured.bytes).toBeLessThan(maxBytes)
  })

  test('a pick of nothing is said to be wrong', async () => {
    const found = await hooksOf(first('return undefined'), rough)
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
    rough,
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
  const found = await measureHooks(target, rough, never)
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
