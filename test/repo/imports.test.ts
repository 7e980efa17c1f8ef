import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { importOffences } from '../../scripts/rules/imports.ts'
import { parseSource, readSources } from '../../scripts/rules/source.ts'

const root = path.resolve(import.meta.dirname, '../..')
const check = (file: string, text: string): string[] =>
  importOffences(parseSource(file, text)).map(({ line, message }) => `${line} ${message}`)

test('every import of the repository is allowed', () => {
  const sources = readSources(root)
  expect(sources.length).toBeGreaterThan(30)
  expect(sources.flatMap(importOffences)).toEqual([])
})

describe('an import that is not allowed is named', () => {
  const cases: [why: string, file: string, text: string, offence: RegExp][] = [
    [
      'core → plugins',
      'core/proxy/a.ts',
      "\nimport { builtins } from '../../plugins/manifest.ts'",
      /^2 .*manifest.*core/,
    ],
    [
      'core → plugins, by URL',
      'core/a.ts',
      "const u = new URL('../plugins/x.ts', import.meta.url)",
      /plugins\/x\.ts/,
    ],
    ['core → a new package', 'core/a.ts', "import x from 'left-pad'", /left-pad.*only these packages/],
    [
      'core/upstream → http1',
      'core/upstream/a.ts',
      "import { p } from '../http1/parse.ts'",
      /never imports HTTP/,
    ],
    ['core/http1 → sockets', 'core/http1/a.ts', "import net from 'node:net'", /no sockets/],
    ['core/http1 → core/proxy', 'core/http1/a.ts', "import type { A } from '#core/proxy/a'", /stands alone/],
    ['plugin → core', 'plugins/algorithm/a.ts', "import type { A } from '#core/host/a'", /only `millrace`/],
    [
      'plugin → core, by path',
      'plugins/filter/a.ts',
      "export { a } from '../../core/host/a.ts'",
      /only `millrace`/,
    ],
    [
      'plugin → core, by type',
      'plugins/filter/a.ts',
      "type A = import('../../core/a.ts').A",
      /only `millrace`/,
    ],
    ['plugin → another plugin', 'plugins/filter/a.ts', "import b from './b.ts'", /only `millrace`/],
    ['plugin → package, at load', 'plugins/config-store/a.ts', "import r from 'ioredis'", /lazily/],
    [
      'plugin → package, at load, beside a type',
      'plugins/config-store/a.ts',
      "import { Redis, type Cluster } from 'ioredis'",
      /lazily/,
    ],
    ['orchestrator → dns', 'orchestrator/a.ts', "import { a } from '../dns/zone.ts'", /only #core/],
    ['dns → orchestrator', 'dns/a.ts', "import { a } from '../orchestrator/a.ts'", /only #core/],
    ['dns → plugins', 'dns/a.ts', "import { a } from '#plugins/manifest'", /only #core/],
    ['core → test', 'core/a.ts', "import { a } from '../test/harness/until.ts'", /nothing imports test/],
    [
      'cli → bench, at load',
      'cli/bench.ts',
      "import { a } from '../bench/index.ts'",
      /nothing imports bench/,
    ],
    ['bench → test', 'bench/a.ts', "import { a } from '../test/harness/until.ts'", /nothing imports test/],
    ['bench → a package of its own', 'bench/a.ts', "import { Bench } from 'tinybench'", /packageUrl/],
    [
      'bench → a package of its own, lazily',
      'bench/a.ts',
      "const { Bench } = await import('tinybench')",
      /packageUrl/,
    ],
    ['example → core', 'examples/a.ts', "import { a } from '../core/a.ts'", /an example imports/],
  ]
  test.each(cases)('%s', (_why, file, text, offence) => {
    const found = check(file, text)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(offence)
  })
})

describe('an import that is allowed is not named', () => {
  const cases: [why: string, file: string, text: string][] = [
    [
      'core → itself',
      'core/a.ts',
      "import '#core/host/errors'; import { b } from './b.ts'; import net from 'node:net'",
    ],
    ['core → its libraries', 'core/a.ts', "import { z } from 'zod'"],
    [
      'plugin → millrace and lib',
      'plugins/algorithm/a.ts',
      "import 'millrace'; import { a } from '../lib/hash.ts'",
    ],
    ['plugin → its own folder', 'plugins/filter/a/index.ts', "import { b } from './b.ts'"],
    [
      'plugin → types of its package',
      'plugins/config-store/a.ts',
      "import type { Redis } from 'ioredis'; type R = typeof import('ioredis')",
    ],
    ['plugin → its package, lazily', 'plugins/lib/redis.ts', "const r = await import('ioredis')"],
    ['manifest → plugins', 'plugins/manifest.ts', "import a from './algorithm/random.ts'"],
    ['cli → all', 'cli/lb.ts', "import '../plugins/manifest.ts'; import('../bench/index.ts')"],
    [
      'bench → all',
      'bench/a.ts',
      "import '../plugins/manifest.ts'; import '../test/conformance/time.ts'; import { Pool } from 'undici'",
    ],
    ['bench → types of a package of its own', 'bench/a.ts', "import type { Bench } from 'tinybench'"],
    ['conformance kit', 'cli/a.ts', "import { kit } from '../test/conformance/index.ts'"],
    ['core → data', 'core/a.ts', "const u = new URL('../package.json', import.meta.url)"],
    ['a comment', 'core/a.ts', "// import x from '../plugins/a.ts'\nconst s = `import 'left-pad'`"],
  ]
  test.each(cases)('%s', (_why, file, text) => {
    expect(check(file, text)).toEqual([])
  })
})
