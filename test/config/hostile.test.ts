// The placeholders in these strings are the config's own syntax.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: see above
/** Files that are made to hurt: each is refused with a place, in less time than a person would notice. */
import { expect, test } from 'vitest'
import { load, places, problemsOf, web } from './load-text.ts'

const rows = (count: number, row: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => row(index)).join('')

test.each([
  ['nested lists', `x-a: ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`],
  ['nested maps', `x-a:\n${rows(4000, (index) => `${' '.repeat(index + 1)}a:\n`)}`],
  ['a merge of itself, further down', 'x-a: &a\n  k: { <<: *a }\n'],
  [
    'merges that multiply, further down',
    rows(20, (i) => {
      const merged = i === 0 ? '{}' : `*a${i - 1}`
      return `x-a${i}: &a${i}\n  k: { <<: ${merged} }\n  j: { <<: ${merged} }\n`
    }),
  ],
  ['references without an end', `fleet: "${'${A:-'.repeat(20_000)}"\n`],
])('%s', async (_name, text) => {
  const begin = performance.now()
  const problems = await problemsOf(web + text)
  expect(performance.now() - begin).toBeLessThan(5000)
  expect(problems.length).toBeLessThan(10)
  for (const { code, line } of problems) {
    expect(code).toMatch(/^MR_CONFIG_(SYNTAX|ENV)$/)
    expect(line).toBeGreaterThan(0)
  }
})

test('merges that multiply are read once each', async () => {
  const text = rows(12, (i) => {
    const merged = i === 0 ? '{ zone: a }' : `[${Array.from({ length: 9 }, () => `*a${i - 1}`).join(', ')}]`
    return `x-a${i}: &a${i}\n  <<: ${merged}\n`
  })
  const services = 'services: { a: { backends: [{ <<: *a11, url: "http://127.0.0.1:1" }] } }\n'
  expect((await load(web + text + services)).snapshot.services.a.backends[0].zone).toBe('a')
})

test('an alias stands for the last anchor before it', async () => {
  const text = `x-a: &a one\nfleet: *a\nx-b: &a two\nnode: { id: *a }\n`
  expect((await load(web + text)).bootstrap).toMatchObject({ fleet: 'one', node: { id: 'two' } })
})

test('__proto__ is no key, wherever it stands: a condition that is passed over would match everything', async () => {
  const service = '{ backends: [] }'
  const text = `routes: [{ service: a, match: { headers: { __proto__: x } } }]
services:
  a: ${service}
  __proto__: ${service}
  b: { <<: { __proto__: 1 }, backends: [] }
`
  expect(places(await problemsOf(web + text))).toEqual([
    'MR_CONFIG_SYNTAX 2:44 routes[0].match.headers.__proto__',
    'MR_CONFIG_SYNTAX 5:3 services.__proto__',
    'MR_CONFIG_SYNTAX 6:14 services.b.__proto__',
  ])
})

test('the admin listener has no unix socket, and says when other machines reach it', async () => {
  expect(places(await problemsOf(`${web}admin: { address: "unix:/run/admin.sock" }\n`))).toEqual([
    'MR_CONFIG_INVALID 2:19 admin.address',
  ])
  const warnings = async (address: string) =>
    (await load(`${web}admin: { address: "${address}" }\n`)).warnings
  expect(places(await warnings('0.0.0.0:9901'))).toEqual(['MR_CONFIG_INVALID 2:19 admin.address'])
  expect(places(await warnings('[::]:9901'))).toHaveLength(1)
  for (const address of ['127.0.0.1:9901', '[::1]:9901', 'localhost:9901']) {
    expect(await warnings(address)).toEqual([])
  }
})

test('frames show nothing of a private key that stands in the file', async () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByq\nGSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n'
  const tls = (text: string) =>
    `listeners: { w: { address: "127.0.0.1:0", tls: { cert: no.pem, key: ${text} } } }\n`
  const block = `listeners:
  w:
    address: 127.0.0.1:0
    tls:
      cert: no.pem
      key: |
${key.replace(/^(?=.)/gm, '        ')}
      minVersion: 1
`
  for (const text of [
    tls(JSON.stringify(key)),
    block,
    block.replace(/\n *-----END.*/, '\n        wrong: *x'),
  ]) {
    const problems = await problemsOf(text)
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.map(({ frame, message }) => frame + message).join('\n')).not.toMatch(/MIGHA|GSM49/)
  }
})
