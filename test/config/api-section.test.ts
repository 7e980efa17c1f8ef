/** `api:` of the config file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hashToken } from '#core/config/check-api'
import { loadConfig } from '#core/config/load'
import { ConfigError } from '#core/config/problems'

const token = 'a-token-of-enough-letters'

function folder(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

const load = (api: unknown, more: object = { store: 'memory' }, directory = '/', env = {}) =>
  loadConfig({ text: JSON.stringify({ listeners: {}, ...more, api }), name: 'lb.json', directory }, { env })

async function problems(...args: Parameters<typeof load>) {
  const error = await load(...args).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ConfigError)) throw new Error('expected a ConfigError')
  return error.problems.map(({ code, path, message }) => ({ code, path, message }))
}

describe('read', () => {
  test('tokens become hashes, from the config, the environment or a file', async () => {
    const directory = folder({ 'ci.token': `${token}-ci\n` })
    const { bootstrap, files } = await load(
      {
        address: '0.0.0.0:9902',
        tokens: [
          { name: 'ann', role: 'admin', token },
          // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of the config
          { name: 'bob', role: 'operate', token: '${BOB}' },
          { name: 'ci', role: 'read', tokenFile: 'ci.token' },
        ],
        hosts: ['LB.example.com'],
      },
      { store: 'memory' },
      directory,
      { BOB: `${token}-bob` },
    )
    expect(bootstrap.api).toEqual({
      host: '0.0.0.0',
      port: 9902,
      tokens: [
        { name: 'ann', role: 'admin', hash: hashToken(token) },
        { name: 'bob', role: 'operate', hash: hashToken(`${token}-bob`) },
        { name: 'ci', role: 'read', hash: hashToken(`${token}-ci`) },
      ],
      hosts: ['lb.example.com'],
    })
    expect(files).toContain(join(directory, 'ci.token'))
    expect(JSON.stringify(bootstrap)).not.toContain(token)
  })

  test('its defaults, and none', async () => {
    expect((await load({})).bootstrap.api).toEqual({ host: '127.0.0.1', port: 9902, tokens: [], hosts: [] })
    expect((await load(false)).bootstrap.api).toBe(false)
    expect((await load(undefined)).bootstrap.api).toBeUndefined()
    expect((await load(false, {})).bootstrap.api).toBe(false)
  })
})

describe('refused', () => {
  test.each([
    ['without a store', {}, {}, 'api'],
    ['open to everybody', { address: '0.0.0.0:9902' }, undefined, 'api.address'],
    ['open to everybody, by IPv6', { address: '[::]:9902' }, undefined, 'api.address'],
    ['a unix socket', { address: 'unix:/tmp/a' }, undefined, 'api.address'],
    [
      'a short token',
      { tokens: [{ name: 'a', role: 'read', token: 'short' }] },
      undefined,
      'api.tokens[0].token',
    ],
    [
      'a token with a space',
      { tokens: [{ name: 'a', role: 'read', token: `${token} x` }] },
      undefined,
      'api.tokens[0].token',
    ],
    ['no token', { tokens: [{ name: 'a', role: 'read' }] }, undefined, 'api.tokens[0]'],
    [
      'two tokens',
      { tokens: [{ name: 'a', role: 'read', token, tokenFile: 'x' }] },
      undefined,
      'api.tokens[0]',
    ],
    ['an unknown role', { tokens: [{ name: 'a', role: 'root', token }] }, undefined, 'api.tokens[0].role'],
    ['no name', { tokens: [{ role: 'read', token }] }, undefined, 'api.tokens[0].name'],
    ['an unknown key', { adress: '127.0.0.1:1' }, undefined, 'api.adress'],
    [
      'the address of the admin listener',
      { address: '127.0.0.1:9' },
      { store: 'memory', admin: { address: '127.0.0.1:9' } },
      'api.address',
    ],
  ] as const)('%s', async (_what, api, more, path) => {
    const found = await problems(api, more)
    expect(found.map((one) => one.path)).toContain(path)
    expect(JSON.stringify(found)).not.toContain(token)
  })

  test('two of one name', async () => {
    const entry = { name: 'a', role: 'read', token }
    expect(await problems({ tokens: [entry, { ...entry, token: `${token}2` }] })).toMatchObject([
      { code: 'MR_CONFIG_DUPLICATE', path: 'api.tokens[1].name' },
    ])
  })

  test('a file that is not there, or holds no token, without a word of what it holds', async () => {
    const directory = folder({ short: 'secret', many: 'secret words that are\nno token' })
    const tokens = ['none', 'short', 'many'].map((tokenFile, n) => ({
      name: `t${n}`,
      role: 'read',
      tokenFile,
    }))
    const found = await problems({ tokens }, { store: 'memory' }, directory)
    expect(found.map(({ code, path }) => [code, path])).toEqual(
      [0, 1, 2].map((n) => ['MR_CONFIG_FILE', `api.tokens[${n}].tokenFile`]),
    )
    expect(JSON.stringify(found)).not.toContain('secret')
  })
})
