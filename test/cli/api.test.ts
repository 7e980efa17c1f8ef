/** The LB API as `up` and `lb` host it: processes of their own, a store in a file, and what the command line does beside it. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { until } from '../conformance/time.ts'
import { startBackend } from '../examples/example.ts'
import { freePort } from '../harness/redis.ts'
import { callCli } from './call-cli.ts'
import { folderWith, runCli, startCli } from './run-cli.ts'

const token = 'a-token-of-enough-letters'

/** @param port of the proxy; whether it listens when the command says that it has started depends on how soon the store answers */
const lbConfig = (more = '', port = 0) => `
node: { threads: 1, data: ./data }
admin: { address: "127.0.0.1:0" }
drain: { delay: 0s, timeout: 1s }
listeners: { web: { address: "127.0.0.1:${port}" } }
store: { use: sqlite, path: store.db }
${more}
`

const dynamic = (url: string) =>
  JSON.stringify({ routes: [{ service: 'app' }], services: { app: { backends: [url] } } })

const apiSection =
  'api: { address: "127.0.0.1:0", tokens: [{ name: ann, role: admin, tokenFile: ann.token }] }'

async function backend(word: string): Promise<string> {
  return `http://127.0.0.1:${(await startBackend(word)).port}`
}

test('up: what is written through the API is served, by whom stands in the history and in the audit log', async () => {
  const [one, two] = [await backend('one'), await backend('two')]
  const port = await freePort()
  const web = `http://127.0.0.1:${port}/`
  const directory = folderWith({
    'lb.yaml': lbConfig(apiSection, port),
    'ann.token': `${token}\n`,
    'first.yaml': dynamic(one),
  })
  const store = ['--store', 'sqlite:data/store.db']
  expect((await callCli(['config', 'apply', 'first.yaml', ...store], { directory })).status).toBe(0)
  const up = startCli(['up', '-c', 'lb.yaml'], { directory })
  const [, admin] = await up.waitFor(/admin +(http:\S+)/)
  const [, api] = await up.waitFor(/api +(http:\S+)/)
  const ask = (method: string, at: string, body?: string, headers: Record<string, string> = {}) =>
    fetch(api + at, {
      method,
      body,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    })
  expect((await fetch(`${api}/v1/config`)).status).toBe(401)
  const read = await ask('GET', '/v1/config')
  const written = await ask('PUT', '/v1/config?message=the+other', dynamic(two), {
    'if-match': read.headers.get('etag') ?? '',
  })
  expect(written.status).toBe(200)
  const served = () =>
    fetch(web).then(
      (answer) => answer.text(),
      () => 'nobody listens yet',
    )
  await until('it is served', async () => (await served()) === 'two')
  expect((await callCli(['config', 'history', ...store], { directory })).out).toMatch(
    /^2 .* ann .* the other$/m,
  )
  await until('the node says so', async () => {
    const { nodes } = (await (await ask('GET', '/v1/nodes')).json()) as {
      nodes: { live: boolean; behind: number }[]
    }
    return nodes[0]?.live === true && nodes[0].behind === 0
  })
  // The plugins of this LB server are what a config is checked against.
  const refused = await ask(
    'PUT',
    '/v1/config',
    dynamic(two).replace('"backends"', '"algorithm":"none","backends"'),
    {
      'if-match': '*',
    },
  )
  expect(refused.status).toBe(422)
  const { records, refused: attempts } = (await (await ask('GET', '/v1/audit')).json()) as Record<
    'records' | 'refused',
    unknown[]
  >
  const audit = readFileSync(path.join(directory, 'data/audit.jsonl'), 'utf8')
  const lines = audit.trim().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual(records)
  expect(records).toMatchObject([{ actor: 'ann', status: 200, before: 1, after: 2 }])
  expect(attempts).toMatchObject([{ actor: 'ann', status: 422, code: 'MR_PLUGIN_UNKNOWN', count: 1 }])

  // `config apply` through the API, checked by the plugins of the LB server.
  writeFileSync(path.join(directory, 'second.yaml'), dynamic(one))
  writeFileSync(
    path.join(directory, 'bad.yaml'),
    dynamic(one).replace('"backends"', '"algorithm":"none","backends"'),
  )
  const apply = (file: string, ...more: string[]) =>
    callCli(['config', 'apply', file, '--api', api, '--token-file', 'ann.token', ...more], { directory })
  expect(await apply('second.yaml', '--dry-run')).toMatchObject({
    status: 0,
    out: expect.stringContaining('--dry-run'),
  })
  expect(await apply('second.yaml', '--expect', '1')).toMatchObject({
    status: 1,
    err: expect.stringContaining('newest is 2'),
  })
  const applied = await apply('second.yaml', '-m', 'back')
  expect(applied).toMatchObject({ status: 0, err: '' })
  expect(applied.out).toContain(`+      - ${one}`)
  expect(applied.out).toMatch(/^revision 3$/m)
  expect((await apply('second.yaml')).out).toBe('unchanged: revision 3\n')
  expect(await apply('bad.yaml')).toMatchObject({
    status: 2,
    err: expect.stringMatching(/MR_PLUGIN_UNKNOWN services\.app\.algorithm: no algorithm plugin/),
  })
  const stranger = await runCli(['config', 'apply', 'second.yaml', '--api', api], {
    directory,
    env: { MILLRACE_TOKEN: 'nobody-0123456789' },
  })
  expect(stranger).toMatchObject({ status: 1, err: expect.stringContaining('MR_UNAUTHORIZED') })
  expect(stranger.err).not.toContain('nobody-0123456789')
  await until('it is served', async () => (await served()) === 'one')

  // `millrace breaker` goes through the admin listener, and from there to the store.
  const tripped = await callCli(
    ['breaker', 'trip', 'app', '--reason', 'a test', '--actor', 'bob', '--url', admin],
    {
      directory,
    },
  )
  expect(tripped).toMatchObject({
    status: 0,
    out: expect.stringMatching(/open +bob \(whole service\) .* a test/),
  })
  expect(await (await ask('GET', '/v1/overrides')).json()).toMatchObject({
    revision: 1,
    breakers: [{ service: 'app', mode: 'open', actor: 'bob' }],
  })
  expect((await fetch(web)).status).toBe(503)
  expect((await ask('DELETE', '/v1/services/app/breaker')).status).toBe(200)
  await until('it is let go', async () => (await fetch(web)).status === 200)
  up.child.kill('SIGINT')
  expect((await up.ended).status).toBe(0)
})

test('lb: only where the config says so; up: on loopback where there is a store', async () => {
  const one = await backend('one')
  const directory = folderWith({
    'lb.yaml': lbConfig(),
    'none.yaml': lbConfig('api: false'),
    'first.yaml': dynamic(one),
  })
  await callCli(['config', 'apply', 'first.yaml', '--store', 'sqlite:data/store.db'], { directory })
  const lb = startCli(['lb', '-c', 'lb.yaml'], { directory })
  await lb.waitFor(/revision 1 \S+ is served/)
  lb.child.kill('SIGTERM')
  expect((await lb.ended).err).not.toContain('"api"')
  const none = startCli(['up', '-c', 'none.yaml'], { directory })
  await none.waitFor(/Ctrl-C ends/)
  expect(none.text.out).not.toMatch(/^ +api /m)
  none.child.kill('SIGKILL')
  await none.ended
  const up = startCli(['up', '-c', 'lb.yaml'], { directory })
  await up.waitFor(/Ctrl-C ends/)
  // Another process of this machine may have the usual port: that is no reason not to serve.
  const isThere = /api +http:\/\/127\.0\.0\.1:9902/.test(up.text.out)
  expect(isThere || up.text.err.includes('there is no API')).toBe(true)
})

test('an API that is open to everybody does not start: exit status 2, with the path', async () => {
  const directory = folderWith({ 'lb.yaml': lbConfig('api: { address: "0.0.0.0:0" }') })
  const { status, err } = await runCli(['lb', '-c', 'lb.yaml'], { directory })
  expect(status).toBe(2)
  expect(err).toMatch(/lb\.yaml:\d+:\d+ MR_CONFIG_INVALID api\.address: .*no token/)
})

test('explain shows the API without its tokens', async () => {
  const directory = folderWith({ 'lb.yaml': lbConfig(apiSection), 'ann.token': token })
  const { status, out, err } = await callCli(['explain', '-c', 'lb.yaml'], { directory })
  expect(status).toBe(0)
  expect(out).toContain('api:')
  expect(out + err).not.toContain(token)
})
