// The placeholders in these strings are the config's own syntax.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: see above
import { describe, expect, test } from 'vitest'
import { places, problemsOf, web } from './load-text.ts'

describe('a trap of YAML gets a frame that says what to quote', () => {
  test.each([
    [
      'a wildcard host',
      'routes: []\nlisteners: { w: { address: "a:1", routes: [{ match: { host: *.example.com }, service: x }] } }\nservices: { x: { backends: [] } }\n',
      'MR_CONFIG_SYNTAX 2:61 listeners.w.routes[0].match.host',
      'quote this: "*.example.com"',
    ],
    [
      'an IPv6 address in a flow map',
      'listeners: { web: { address: [::1]:80 } }\n',
      'MR_CONFIG_SYNTAX 1:30 listeners.web.address',
      'quote this: "[::1]:80"',
    ],
    [
      'an IPv6 address in a block map',
      'listeners:\n  web:\n    address: [::1]:80\n',
      'MR_CONFIG_SYNTAX 3:14 listeners.web.address',
      'quote this: "[::1]:80"',
    ],
    [
      'an IPv6 address without a port',
      'listeners:\n  web:\n    address: [::1]\n',
      'MR_CONFIG_INVALID 3:14 listeners.web.address',
      'quote this: "[::1]"',
    ],
    [
      'an IPv6 backend in a flow list',
      `${web}services: { a: { backends: [http://[::1]:80] } }\n`,
      'MR_CONFIG_SYNTAX 2:29 services.a.backends[0]',
      'quote this: "http://[::1]:80"',
    ],
    [
      'a leading zero',
      `${web}node: { threads: 012 }\n`,
      'MR_CONFIG_SYNTAX 2:18 node.threads',
      'quote this: "012", or write the number without the zero',
    ],
    [
      'a leading zero where a string is wanted',
      `${web}fleet: 0123\n`,
      'MR_CONFIG_SYNTAX 2:8 fleet',
      'quote this: "0123", or write the number without the zero',
    ],
    [
      'a scoped package',
      `${web}plugins: [@acme/jwt]\n`,
      'MR_CONFIG_SYNTAX 2:11 plugins[0]',
      'quote this: "@acme/jwt"',
    ],
    ['a colon and a space', `${web}fleet: a: b\n`, 'MR_CONFIG_SYNTAX 2:8 fleet', 'quote this: "a: b"'],
    ['a star alone', `${web}fleet: *\n`, 'MR_CONFIG_SYNTAX 2:8 fleet', 'quote this: "*"'],
    ['a tag', `${web}fleet: !a b\n`, 'MR_CONFIG_SYNTAX 2:8 fleet', 'quote a value that starts with ! or %'],
  ])('%s', async (_name, text, place, suggestion) => {
    const problems = await problemsOf(text)
    expect(places(problems)).toEqual([place])
    expect(problems[0].suggestion).toBe(suggestion)
    expect(problems[0].frame).toContain('^')
  })

  test('a tab as indentation', async () => {
    const problems = await problemsOf(`${web}node:\n\tthreads: 1\n`)
    expect(places(problems)).toEqual(['MR_CONFIG_SYNTAX 3:1 '])
    expect(problems[0]).toMatchObject({ message: 'a tab cannot indent YAML', suggestion: 'use spaces' })
  })

  test('several of them, and the mistakes beside them, are all found in one run', async () => {
    const text = `listeners: { web: { address: [::1]:80 } }
plugins: [@acme/jwt]
routes:
  - match: { host: *.example.com }
    service: shopp
services: { shop: { backends: [], zeit: 1 } }
`
    expect(places(await problemsOf(text))).toEqual([
      'MR_CONFIG_SYNTAX 1:30 listeners.web.address',
      'MR_CONFIG_SYNTAX 2:11 plugins[0]',
      'MR_CONFIG_SYNTAX 4:20 routes[0].match.host',
      'MR_CONFIG_REFERENCE 5:14 routes[0].service',
      'MR_CONFIG_UNKNOWN_KEY 6:35 services.shop.zeit',
    ])
  })
})

describe('what YAML cannot read is a problem, never a stack trace', () => {
  test.each([
    'a: {b: 1\nc: 2\n',
    'a: "abc\n',
    'a: [1, 2\n',
    '}\n',
    'a: b\n c: d\n',
    'a: 1\n---\nb: 2\n',
    '? [a, b]\n: c\n',
    'a: *b\n',
    'a: &x [*x]\n',
    'a: &x\n  <<: *x\n',
    '<<: 5\n',
    '? *a\n: b\n',
    '%YAML 9.9\n---\na: 1\n',
    '\u0000',
    '${',
    'a: ${\n',
    '{ a: ${X:- }\n',
    '__proto__: { a: 1 }\n',
    '!!binary x\n',
    '- &a a\n- *a\n',
  ])('%j', async (text) => {
    const problems = await problemsOf(text)
    expect(problems.length).toBeGreaterThan(0)
    for (const problem of problems) {
      expect(problem.code).toMatch(/^MR_CONFIG_/)
      expect(problem.line).toBeGreaterThan(0)
    }
  })

  test('a key that stands twice', async () => {
    const problems = await problemsOf(`${web}fleet: a\nfleet: b\n`)
    expect(places(problems)).toEqual(['MR_CONFIG_DUPLICATE 3:1 fleet'])
  })

  test('aliases that multiply are cut off', async () => {
    const rows = Array.from({ length: 12 }, (_, row) => {
      const items = row === 0 ? 'x' : Array.from({ length: 10 }, () => `*a${row - 1}`).join(', ')
      return `x-a${row}: &a${row} [${items}]\n`
    })
    const problems = await problemsOf(web + rows.join(''))
    expect(problems[0]).toMatchObject({ code: 'MR_CONFIG_SYNTAX' })
    expect(problems.length).toBeLessThan(100)
  })
})
