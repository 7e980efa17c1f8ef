import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { effectOffences, functionOffences, lengthOffences } from '../../scripts/rules/shape.ts'
import { parseSource, readSources } from '../../scripts/rules/source.ts'

const sources = readSources(path.resolve(import.meta.dirname, '../..'))
const lines = (count: number, line = '// filler'): string => `${line}\n`.repeat(count)

describe('length', () => {
  test('no file of the repository is over 300 lines without a reason at its top', () => {
    expect(sources.flatMap(lengthOffences)).toEqual([])
  })

  test('no function of the repository is over 60 lines without a reason above it', () => {
    expect(sources.flatMap(functionOffences)).toEqual([])
  })

  test('a file of 301 lines is named, one of 300 is not', () => {
    expect(lengthOffences(parseSource('core/a.ts', lines(301)))[0].message).toContain('301 lines')
    expect(lengthOffences(parseSource('core/a.ts', lines(300)))).toEqual([])
  })

  test('a reason counts at the top only, and must be given', () => {
    const reason = '/* Over 300 lines: one table */\n'
    expect(lengthOffences(parseSource('core/a.ts', reason + lines(300)))).toEqual([])
    expect(lengthOffences(parseSource('core/a.ts', lines(300) + reason))).toHaveLength(1)
    expect(lengthOffences(parseSource('core/a.ts', `/* Over 300 lines:\n*/${lines(300)}`))).toHaveLength(1)
  })

  test('a function of 61 lines is named, unless it says why', () => {
    const long = `const f = () => {\n${lines(59)}}\n`
    expect(functionOffences(parseSource('core/a.ts', `\n${long}`))).toMatchObject([{ line: 2 }])
    expect(
      functionOffences(parseSource('core/a.ts', `/** Over 60 lines: a state machine */\n${long}`)),
    ).toEqual([])
    expect(functionOffences(parseSource('core/a.ts', long.replace('// filler\n', '')))).toEqual([])
  })
})

describe('import without effect', () => {
  test('no module of the repository acts, waits or keeps state when it is imported', () => {
    expect(sources.flatMap(effectOffences)).toEqual([])
  })

  test.each([
    ['let', 'export let count = 0', /state of its own/],
    ['var', 'var count = 0', /state of its own/],
    ['call', 'start()', /must have no effect/],
    ['await in a declaration', 'const a = await load()', /must not wait/],
    ['for await', 'for await (const a of b) c = a', /must not wait/],
  ])('%s at the top is named', (_what, text, message) => {
    const found = effectOffences(parseSource('core/a.ts', `const ok = 1\n${text}\n`))
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ line: 2, message: expect.stringMatching(message) })
  })

  test('tables, classes and functions that wait inside are not named', () => {
    const text = `
      export const table = new Uint8Array(256)
      for (const letter of 'abc') table[letter.charCodeAt(0)] = 1
      export async function f() { let a = await 1; a++; g() }
      export class A { static x = 1 }
      export default f
      enum B { c }`
    expect(effectOffences(parseSource('core/a.ts', text))).toEqual([])
  })

  test('entry points may act', () => {
    for (const file of ['scripts/a.mjs', 'core/threads/data-thread.ts', 'cli/bin.js', 'test/a.test.ts'])
      expect(effectOffences(parseSource(file, 'await start()'))).toEqual([])
  })
})
