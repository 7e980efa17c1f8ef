// The placeholders in these strings are the config's own syntax.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: see above
import { describe, expect, test } from 'vitest'
import { load, places, problemsOf, web } from './load-text.ts'

const node = (fields: string) => `${web}node: ${fields}\n`

describe('environment variables', () => {
  test('stand in any scalar, beside other text, more than once', async () => {
    const { snapshot } = await load('listeners:\n  web:\n    address: ${HOST}:${PORT}\n', {
      env: { HOST: '127.0.0.1', PORT: '8080' },
    })
    expect(snapshot.listeners[0]).toMatchObject({ host: '127.0.0.1', port: 8080 })
  })

  test('keep the type of a plain scalar, in block and in flow maps', async () => {
    const env = { THREADS: '3' }
    expect((await load(`${web}node:\n  threads: \${THREADS}\n`, { env })).bootstrap.node.threads).toBe(3)
    expect((await load(node('{ threads: ${THREADS}, id: a }'), { env })).bootstrap.node.threads).toBe(3)
    expect((await load(node('{ threads: ${NONE:-2} }'), { env })).bootstrap.node.threads).toBe(2)
  })

  test('in quotes are strings', async () => {
    expect((await load(node('{ id: "${ID}" }'), { env: { ID: '123' } })).bootstrap.node.id).toBe('123')
    const [problem] = await problemsOf(node('{ threads: "${N}" }'), { env: { N: '3' } })
    expect(problem).toMatchObject({
      path: 'node.threads',
      message: 'expected a number',
      suggestion: 'write it without quotes',
    })
  })

  test('a number with a leading zero stays a string', async () => {
    expect((await load(node('{ id: ${ID} }'), { env: { ID: '0123' } })).bootstrap.node.id).toBe('0123')
  })

  test('the default is taken where the variable is unset or empty, and may hold commas and brackets', async () => {
    const id = async (text: string, env: Record<string, string>) =>
      (await load(node(`{ data: ${text} }`), { env, directory: '/' })).bootstrap.node.data
    expect(await id('${D:-/a}', {})).toBe('/a')
    expect(await id('${D:-/a}', { D: '' })).toBe('/a')
    expect(await id('${D:-/a}', { D: '/b' })).toBe('/b')
    expect(await id('${D:-/a,[b]}', {})).toBe('/a,[b]')
  })

  test('are expanded once', async () => {
    const env = { A: '${B}', B: 'x' }
    expect((await load(node('{ data: "/${A}" }'), { env })).bootstrap.node.data).toBe('/${B}')
  })

  test('$${ is a literal ${', async () => {
    expect((await load(node('{ data: "/$${A}" }'))).bootstrap.node.data).toBe('/${A}')
  })

  test('that are not set are each named once, where they stand', async () => {
    const problems = await problemsOf(node('\n  id: ${A}-${B}\n  threads: ${C}'))
    expect(places(problems)).toEqual([
      'MR_CONFIG_ENV 3:7 node.id',
      'MR_CONFIG_ENV 3:7 node.id',
      'MR_CONFIG_ENV 4:12 node.threads',
    ])
    expect(problems[0].message).toBe('the environment variable A is not set')
    expect(problems[0].suggestion).toBe('a default is written ${A:-default}')
  })

  test('that are malformed are said to be', async () => {
    const [problem] = await problemsOf(node('{ id: "${1A}" }'))
    expect(problem).toMatchObject({ code: 'MR_CONFIG_ENV', path: 'node.id' })
  })

  test('are not looked up on the prototype of the environment', async () => {
    expect((await problemsOf(node('{ id: "${constructor}" }')))[0].code).toBe('MR_CONFIG_ENV')
  })
})

describe('a secret from the environment is in no message, suggestion or frame', () => {
  const env = { SECRET: 'hunter22', URL: 'user:hunter22@10.0.0.1' }
  const catalog = {
    names: () => ['round-robin', 'error-rate', 'jwt'],
    validateOptions: (_kind: string, _name: string, options: Readonly<Record<string, unknown>>) =>
      'key' in options
        ? [{ message: `bad key ${String(options.key)}`, path: ['key'], suggestion: 'HUNTER22x' }]
        : [],
    jsonSchema: () => undefined,
  }
  test.each([
    ['of a backend', 'services: { a: { backends: ["http://${URL}"] } }\n'],
    ['without a scheme', 'services: { a: { backends: ["${SECRET}"] } }\n'],
    ['that is the name of a service', 'routes: [{ service: "${SECRET}" }]\n'],
    ['that is the name of a plugin', 'filters: ["${SECRET}"]\n'],
    ['in the options of a plugin', 'filters: [{ use: jwt, key: "${SECRET}" }]\n'],
    ['that is a file', 'services: { a: { backends: [], tls: { ca: "${SECRET}.pem" } } }\n'],
    ['that is a plugin file', 'plugins: ["./${SECRET}.ts"]\n'],
    ['that is no duration', 'drain: { delay: "${SECRET}" }\n'],
    ['that is no choice', 'probing: "${SECRET}"\n'],
  ])('%s', async (_name, text) => {
    const problems = await problemsOf(web + text, { env, plugins: catalog })
    expect(problems.length).toBeGreaterThan(0)
    expect(JSON.stringify(problems).toLowerCase()).not.toContain('hunter22')
    expect(JSON.stringify(problems)).toContain('${')
  })
})
