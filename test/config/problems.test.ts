import { describe, expect, test } from 'vitest'
import { ConfigError, codeFrame, formatProblems } from '#core/config/problems'
import { load, places, problemsOf, web } from './load-text.ts'

const threeMistakes = `listeners:
  web: { address: 127.0.0.1:8080 }
services:
  api:
    algoritm: maglev
    backends: ["http://127.0.0.1:9001"]
    timeouts: { connect: 5 }
routes:
  - { service: apii }
`

describe('a file with three mistakes', () => {
  test('names all three, each with its place, code, path and correction', async () => {
    expect(await problemsOf(threeMistakes)).toMatchObject([
      {
        code: 'MR_CONFIG_UNKNOWN_KEY',
        file: 'lb.yaml',
        line: 5,
        column: 5,
        path: 'services.api.algoritm',
        suggestion: 'did you mean "algorithm"?',
      },
      {
        code: 'MR_CONFIG_INVALID',
        line: 7,
        column: 26,
        path: 'services.api.timeouts.connect',
        message: 'expected a duration such as 250ms, 2s or 5m',
      },
      {
        code: 'MR_CONFIG_REFERENCE',
        line: 9,
        column: 16,
        path: 'routes[0].service',
        suggestion: 'did you mean "api"?',
      },
    ])
  })

  test('is shown with frames and carets', async () => {
    expect(formatProblems(await problemsOf(threeMistakes))).toBe(
      `lb.yaml:5:5 MR_CONFIG_UNKNOWN_KEY services.api.algoritm: the key "algoritm" is not known here; did you mean "algorithm"?
  4 |   api:
> 5 |     algoritm: maglev
    |     ^^^^^^^^
  6 |     backends: ["http://127.0.0.1:9001"]

lb.yaml:7:26 MR_CONFIG_INVALID services.api.timeouts.connect: expected a duration such as 250ms, 2s or 5m
  6 |     backends: ["http://127.0.0.1:9001"]
> 7 |     timeouts: { connect: 5 }
    |                          ^
  8 | routes:

lb.yaml:9:16 MR_CONFIG_REFERENCE routes[0].service: no service is called "apii"; did you mean "api"?
  8 | routes:
> 9 |   - { service: apii }
    |                ^^^^

3 problems`,
    )
  })

  test('is one error, whose code is the first problem’s', async () => {
    const error: unknown = await load(threeMistakes).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ code: 'MR_CONFIG_UNKNOWN_KEY', path: 'services.api.algoritm' })
    expect(String(error)).toContain('3 problems')
  })
})

describe('a problem stands', () => {
  test.each([
    ['at the key that lacks something', 'services:\n  a: {}\n', 'MR_CONFIG_INVALID 3:3 services.a.backends'],
    [
      'at an item of a list',
      'trustedProxies:\n  - 10.0.0.0/8\n  - x\n',
      'MR_CONFIG_INVALID 4:5 trustedProxies[1]',
    ],
    ['at a bad name', 'services: { "a b": { backends: [] } }\n', 'MR_CONFIG_INVALID 2:13 services["a b"]'],
    ['at a value that is missing', 'routes:\nfleet: a\n', 'MR_CONFIG_INVALID 2:8 routes'],
    ['in quotes, at the quote', 'fleet: "a b"\n', 'MR_CONFIG_INVALID 2:8 fleet'],
    ['in a CRLF file', 'fleet: a\r\nprobing: x\r\n', 'MR_CONFIG_INVALID 3:10 probing'],
    ['in a flow list', 'trustedProxies: [::1, x]\n', 'MR_CONFIG_INVALID 2:23 trustedProxies[1]'],
  ])('%s', async (_name, text, place) => {
    expect(places(await problemsOf(web + text))).toEqual([place])
  })

  test('where an alias was defined, when the wrong value came through one', async () => {
    const text = `${web}x-t: &t\n  connect: 5x\nservices:\n  a: { backends: [], timeouts: *t }\n`
    expect(places(await problemsOf(text))).toEqual(['MR_CONFIG_INVALID 3:12 services.a.timeouts.connect'])
  })

  test('where a merged map was written', async () => {
    const text = `${web}x-t: &t\n  key: nonsense\nservices:\n  a: { <<: *t, backends: [] }\n`
    expect(places(await problemsOf(text))).toEqual(['MR_CONFIG_INVALID 3:8 services.a.key'])
  })
})

describe('what is wrong is said in plain words', () => {
  test.each([
    ['services: 5', 'expected services by name', undefined],
    ['services: { a: { backends: [], host: 5 } }', 'expected `backend`, `client`, or a host name', undefined],
    ['services: { a: { backends: [{ url: "http://x", zone: 1 }] } }', 'expected a string', 'quote this: "1"'],
    [
      'services: { a: { backends: [{ url: "http://x", tags: [true] }] } }',
      'expected a string',
      'quote this: "true"',
    ],
    [
      'services: { a: { backends: [{ url: "http://x", weight: 1.5 }] } }',
      'expected a whole number',
      undefined,
    ],
    ['services: { a: { backends: [{ url: "http://x", weight: -1 }] } }', 'expected at least 0', undefined],
    [
      'services: { a: { backends: [localhost:80] } }',
      'expected a URL',
      'did you mean "http://localhost:80"?',
    ],
    [
      'services: { a: { backends: [], health: { use: x, initial: upp } } }',
      'expected up or down',
      'did you mean "up"?',
    ],
    ['services: { a: { backends: [], health: { use: x, rise: 0 } } }', 'expected at least 1', undefined],
    [
      'services: { a: { backends: [], breaker: { use: x, fallback: { status: 205, body: b } } } }',
      'an answer of this status has no body (204, 205, 304)',
      undefined,
    ],
    [
      'services: { a: { backends: [], breaker: { use: x, fallback: 1 } } }',
      'expected { service: name } or { status, headers, body }',
      undefined,
    ],
    ['services: { a: { backends: [], algorithm: ./mine.ts } }', 'expected the name of a plugin', undefined],
    [
      'services: { a: { backends: [], upgrades: [H2C] } }',
      'an upgrade to HTTP/2 is never forwarded',
      undefined,
    ],
    ['services: { a: { backends: [], key: header }}', 'expected client-ip, path, header:NAME', undefined],
    ['services: { a: { backends: [], timeouts: { idle: 0s } } }', 'must be longer than 0s', undefined],
    ['services: { a: { backends: [], retries: { budget: 120% } } }', 'a ratio is at most 100%', undefined],
    ['services: { a: { backends: [], retries: { on: [200] } } }', 'expected at least 400', undefined],
    [
      'services: { a: { backends: [], upgrade: [] } }',
      'the key "upgrade" is not known',
      'did you mean "upgrades"?',
    ],
    ['drain: { delay:5s }', 'the key "delay:5s" is not known', 'put a space after the colon: "delay: 5s"'],
    ['probing: orchestra', 'expected self or orchestrator', 'did you mean "orchestrator"?'],
    ['accessLog: yes', 'expected true, false or { path }', undefined],
    ['admin: 127.0.0.1:1', 'expected { address: host:port }, or false', undefined],
    ['fleetKey: x', 'expected a secret of 16 characters or more', undefined],
    ['fleetKey: []', 'expected at least one entry', undefined],
    ['fleetKey: 5', 'expected a secret of 16 characters or more', undefined],
    ['node: { advertise: "http://a" }', 'expected host or host:port', undefined],
    ['node: { advertise: 0.0.0.0 }', 'expected one address that the other nodes reach', undefined],
    ['limits: { head: 10B }', 'expected 256B to 1MiB', undefined],
    ['listener: {}', 'the key "listener" is not known', 'did you mean "listeners"?'],
    ['filters: headers', 'expected a list of filters', undefined],
    ['filters: [{ set: {} }]', '`use` is missing', undefined],
    ['filters: [5]', 'expected the name of a plugin, or { use: name', undefined],
  ])('%s', async (text, message, suggestion) => {
    const [problem, ...others] = await problemsOf(`${web}${text}\n`)
    expect(others).toEqual([])
    expect(problem.message).toContain(message)
    expect(problem.suggestion).toEqual(suggestion)
  })

  test.each([
    ['', 'the file is empty'],
    ['# nothing\n', 'the file is empty'],
    ['text', 'expected a map'],
    ['- a\n', 'expected a map'],
    ['fleet: a\n', '`listeners` is missing'],
  ])('of the file as a whole: %j', async (text, message) => {
    const problems = await problemsOf(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ message, line: 1, column: 1 })
  })
})

describe('a frame', () => {
  test('shows the line before and the line after, and stays inside the line', () => {
    expect(codeFrame(['a', 'bcd', 'e', 'f'], 2, 2, 99)).toBe('  1 | a\n> 2 | bcd\n    |  ^^\n  3 | e')
  })

  test('of a very long line shows the part that matters', () => {
    const frame = codeFrame([`${'x'.repeat(5000)}WRONG${'y'.repeat(5000)}`], 1, 5001, 5)
    const [source, caret] = frame.split('\n')
    expect(source.length).toBeLessThan(200)
    expect(source.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('WRONG')
  })
})
