import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { resultsSchema } from '../../bench/report/bench-results.ts'
import { readResults } from '../../bench/report/read-results.ts'
import { reportFiles } from '../../bench/report/write-results.ts'
import { folderWith, runCli } from '../cli/run-cli.ts'
import { exampleResults } from './fixtures/bench-results.ts'

const example = exampleResults()
const text = JSON.stringify(example)
const changed = (change: object): string => JSON.stringify({ ...example, ...change })

describe('bench report', () => {
  test('makes of a stored file what the run itself wrote, and names the page', async () => {
    const directory = folderWith({ 'results.json': text })
    const { status, out, err } = await runCli(['bench', 'report', directory])
    expect(err).toBe('')
    expect(status).toBe(0)
    for (const [name, content] of Object.entries(reportFiles(example)))
      expect(readFileSync(join(directory, name), 'utf8'), name).toBe(content)
    expect(out).toContain('64-byte answers, kept connections')
    expect(out).toContain(`report: ${join(directory, 'report.html')}`)
  })

  test('leaves alone what lies beside a file of another name, and takes --out', async () => {
    const directory = folderWith({ 'old.json': text, 'results.json': 'of another run' })
    const file = join(directory, 'old.json')
    expect((await runCli(['bench', 'report', file])).status).toBe(0)
    expect(readFileSync(join(directory, 'results.json'), 'utf8')).toBe('of another run')
    expect(existsSync(join(directory, 'old-report/report.html'))).toBe(true)
    const out = join(directory, 'elsewhere')
    expect((await runCli(['bench', 'report', file, '--out', out])).status).toBe(0)
    expect(existsSync(join(out, 'summary.md'))).toBe(true)
  })

  test('makes the second measurement of a comparison too', async () => {
    const directory = folderWith({ 'results.json': text })
    mkdirSync(join(directory, 'rerun'))
    writeFileSync(join(directory, 'rerun/results.json'), text)
    const { out } = await runCli(['bench', 'report', directory])
    expect(out).toContain('Measured once more')
    expect(existsSync(join(directory, 'rerun/report.html'))).toBe(true)
  })

  test('of several files shows how the figures went, oldest first', async () => {
    const machine = { ...example.machine, commit: 'older', cpu: 'another' }
    const directory = folderWith({
      'new.json': text,
      'old.json': changed({ startedAt: '2025-01-02T03:04:05Z', machine }),
    })
    const files = ['new.json', 'old.json'].map((name) => join(directory, name))
    const { out, status } = await runCli(['bench', 'report', ...files, '--out', directory])
    expect(status).toBe(0)
    expect(out.indexOf('older')).toBeLessThan(out.indexOf(example.machine.commit))
    expect(out).toContain('measured on 2 machines')
    const written = readFileSync(join(directory, 'history.md'), 'utf8')
    expect(written).toContain('| 2025-01-02 03:04 | older | ')
  })
})

describe('a file that is no results.json is refused, with the reason', () => {
  const without = { ...example, blocks: example.blocks.map(({ values, ...rest }) => rest) }
  test.each([
    ['no JSON', '{', /x\.json is not JSON: /],
    ['no object', '[]', /x\.json is no results\.json of `millrace bench`: it has no "schema" number/],
    ['older', changed({ schema: 0 }), /has schema 0, of an older millrace bench; this one reads schema \d/],
    ['newer', changed({ schema: resultsSchema + 1 }), /of a newer millrace bench/],
    ['no blocks', changed({ blocks: undefined }), /\n {2}blocks: .*expected array/],
    [
      'blocks without values',
      JSON.stringify(without),
      /\n {2}blocks\.0\.values: .*\n.*\n.*\n {2}and \d+ more/,
    ],
    [
      'wrong outcome',
      changed({ comparisons: [{ ...example.comparisons[0], outcome: 'good' }] }),
      /outcome: /,
    ],
    ['a gate that is none', changed({ gate: { outcome: 'met' } }), /\n {2}gate\.scenario: /],
    ['a knee without steps', changed({ knees: [{ arm: 'nginx' }] }), /\n {2}knees\.0\.backendDelayMs: /],
  ])('%s', (_what, content, message) => {
    const directory = folderWith({ 'x.json': content })
    expect(() => readResults(join(directory, 'x.json'))).toThrow(message)
  })

  test('a folder without one, and a file that is not there', async () => {
    const directory = folderWith({})
    expect(() => readResults(directory)).toThrow(/holds no results\.json/)
    const { status, err } = await runCli(['bench', 'report', join(directory, 'absent.json')])
    expect(status).toBe(3)
    expect(err).toMatch(/^millrace bench: .*absent\.json does not exist$/m)
  })

  test('what JSON cannot say, such as a share of nothing, is read as no number', () => {
    const [first, ...others] = example.comparisons
    const relative = { ...first.relative, low: Number.NEGATIVE_INFINITY }
    const directory = folderWith({ 'x.json': changed({ comparisons: [{ ...first, relative }, ...others] }) })
    expect(readResults(join(directory, 'x.json')).results.comparisons[0].relative.low).toBeNaN()
  })
})
