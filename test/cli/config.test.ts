import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseStoreUrl } from '../../cli/config/store-url.ts'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { openSqlite } from '../plugins/config-store/sqlite-world.ts'
import { folderWith, type RunResult, runCli } from './run-cli.ts'

const shop = (...ports: number[]): string =>
  `routes: [{ service: shop }]\nservices: { shop: { backends: ${JSON.stringify(
    ports.map((port) => `http://127.0.0.1:${port}`),
  )} } }\n`

function world(files: Record<string, string> = {}) {
  const directory = folderWith({ 'one.yaml': shop(9001), 'two.yaml': shop(9001, 9002), ...files })
  const config = (...args: string[]): Promise<RunResult> =>
    runCli(['config', ...args, '--store', 'sqlite:store.db'], {
      directory,
      env: { USER: 'ann', SECRET: 'not-to-be-seen' },
    })
  return { directory, config }
}

const numbers = (history: RunResult): string[] =>
  history.out
    .split('\n')
    .slice(1)
    .map((line) => line.split(' ')[0])
    .filter((number) => number !== '')

test('apply shows the difference and the revision; unchanged is told and not written', async () => {
  const { config } = world()
  const first = await config('apply', 'one.yaml', '-m', 'the beginning')
  expect(first).toMatchObject({ status: 0, err: '' })
  expect(first.out).toMatch(/^\+ {6}- http:\/\/127\.0\.0\.1:9001$/m)
  expect(first.out).toMatch(/^revision 1$/m)
  const second = await config('apply', 'two.yaml')
  expect(second.out).toMatch(
    /^@@ -\d+,\d+ \+\d+,\d+ @@.*\n(?: .*\n)+\+ {6}- http:\/\/127\.0\.0\.1:9002\nrevision 2$/m,
  )
  expect(second.out).not.toMatch(/^[-+].*9001/m)
  expect(await config('apply', 'two.yaml')).toMatchObject({ status: 0, out: 'unchanged: revision 2\n' })
  const history = await config('history')
  expect(numbers(history)).toEqual(['2', '1'])
  expect(history.out).toMatch(/^1 +\d{4}-\d\d-\d\dT\S+Z +ann@\S+ +\d+ +\S+ +the beginning$/m)
})

test('get prints what can be applied again, of any revision that is kept', async () => {
  const { config, directory } = world()
  await config('apply', 'one.yaml')
  await config('apply', 'two.yaml', '--by', 'bob')
  const { out } = await config('get')
  expect(out).toMatch(/^# revision 2 by bob at /)
  expect((await config('get', '--revision', '1')).out).not.toContain('9002')
  const again = folderWith({ 'again.yaml': out })
  expect(await config('apply', path.join(again, 'again.yaml'))).toMatchObject({
    status: 0,
    out: 'unchanged: revision 2\n',
  })
  expect(readdirSync(directory)).toContain('store.db')
})

test('diff compares revisions; rollback writes an earlier one anew', async () => {
  const { config } = world()
  await config('apply', 'one.yaml')
  await config('apply', 'two.yaml')
  for (const args of [[], ['1'], ['1', '2']]) {
    const { out } = await config('diff', ...args)
    expect(out).toMatch(/^--- revision 1 by.*\n\+\+\+ revision 2 by/)
    expect(out.match(/^[-+] .*/gm)).toEqual(['+      - http://127.0.0.1:9002'])
  }
  const back = await config('rollback', '1')
  expect(back.out).toMatch(/^- {6}- http:\/\/127\.0\.0\.1:9002\n(?: .*\n)*revision 3$/m)
  expect((await config('diff', '1', '3')).out.split('\n').filter((line) => line.startsWith('@@'))).toEqual([])
  expect((await config('history')).out).toMatch(/^3 .*rollback to revision 1$/m)
  expect((await config('rollback', '3')).out).toBe('unchanged: revision 3\n')
})

describe('conflicts', () => {
  test('on top of another revision than expected: says who wrote, exit status 1, nothing written', async () => {
    const { config } = world()
    await config('apply', 'one.yaml', '--expect', '0')
    await config('apply', 'two.yaml', '--by', 'bob', '-m', 'a second one')
    const late = await config('apply', 'one.yaml', '--expect', '1')
    expect(late.status).toBe(1)
    expect(late.err).toMatch(/expected revision 1.*revision 2 by bob at .*Z: a second one/)
    expect(numbers(await config('history'))).toEqual(['2', '1'])
  })

  test('of many at the same time each is written or told who was first', async () => {
    const files = Object.fromEntries([1, 2, 3, 4].map((i) => [`${i}.yaml`, shop(9100 + i)]))
    const { config } = world(files)
    await config('apply', 'one.yaml')
    const results = await Promise.all(
      [1, 2, 3, 4].map((i) => config('apply', `${i}.yaml`, '--by', `writer-${i}`)),
    )
    const written = results.filter(({ status }) => status === 0)
    expect(written.length).toBeGreaterThan(0)
    for (const { status, err } of results)
      if (status !== 0) {
        expect(status).toBe(1)
        expect(err).toMatch(/others have written since\n {2}revision \d+ by writer-\d at /)
      }
    expect(numbers(await config('history'))).toHaveLength(1 + written.length)
  })
})

test('a whole config may be given: what belongs to each node is left out; --dry-run writes nothing', async () => {
  const { config, directory } = world({
    'whole.yaml': `node: { id: lb-9 }\nlisteners: { web: { address: "127.0.0.1:0" } }\n${shop(9001)}`,
  })
  await config('apply', 'one.yaml')
  expect((await config('apply', 'whole.yaml')).out).toBe('unchanged: revision 1\n')
  expect((await config('apply', 'two.yaml', '--dry-run')).out).toMatch(/9002\nnot written: --dry-run\n$/)
  expect(numbers(await config('history'))).toEqual(['1'])
  expect(existsSync(path.join(directory, '.millrace'))).toBe(false)
})

test('secrets: private keys are stored as text, and not shown in differences; nor is the environment', async () => {
  using authority = createCertificateAuthority()
  const { cert, key } = authority.server(['127.0.0.1'])
  const { config } = world({
    'tls.yaml': `services: { shop: { backends: ["https://127.0.0.1:9001"], tls: { cert: c.pem, key: k.pem, serverName: "\${SECRET}" } } }`,
    'c.pem': cert,
    'k.pem': key,
  })
  const { out } = await config('apply', 'tls.yaml')
  expect(out).toMatch(/key: \(private key, SHA-256 [0-9a-f]{12}…\)/)
  expect(out).not.toContain('PRIVATE KEY-----')
  expect(out).not.toContain('not-to-be-seen')
  const stored = (await config('get')).out
  expect(stored).toContain('PRIVATE KEY-----')
  expect(stored).toContain('not-to-be-seen')
})

test('a config that is wrong is told as by check, exit status 2, and no store is begun', async () => {
  const { config, directory } = world({
    'wrong.yaml':
      'routes: [{ service: shp }]\nservices:\n  shop: { algorithm: round-robbin, backends: [] }\nservces: {}\n',
    'code.yaml': `services: { shop: { algorithm: { use: ./evil.ts }, backends: ["http://127.0.0.1:1"] } }`,
    'list.yaml': '- 1\n',
  })
  const wrong = await config('apply', 'wrong.yaml')
  expect(wrong.status).toBe(2)
  expect(wrong.err).toMatch(/wrong\.yaml:1:\d+ MR_CONFIG_REFERENCE.*did you mean "shop"/)
  expect(wrong.err).toMatch(/wrong\.yaml:3:\d+ MR_PLUGIN_UNKNOWN.*did you mean "round-robin"/)
  expect(wrong.err).toMatch(/wrong\.yaml:4:1 MR_CONFIG_UNKNOWN_KEY.*did you mean "services"/)
  expect(await config('apply', 'code.yaml')).toMatchObject({
    status: 2,
    err: expect.stringMatching(/its file or package stands under `plugins:`/),
  })
  for (const file of ['list.yaml', 'missing.yaml']) expect((await config('apply', file)).status).toBe(2)
  expect(readdirSync(directory)).not.toContain('store.db')
})

describe('a command line that makes no sense: exit status 2, a message, nothing begun', () => {
  const cases: [args: string[], message: RegExp][] = [
    [['get'], /which store\? --store/],
    [['get', '--store', 'store.db'], /--store: this is no URL; expected sqlite:PATH/],
    [['get', '--store', 'mysql://x'], /mysql: is no store/],
    [['get', '--store', 'sqlite:'], /expected sqlite:PATH/],
    [['get', '--store', 'sqlite:nowhere.db'], /there is no file .*nowhere\.db/],
    [['get', '--store', 'memory:'], /would be gone with this command/],
    [['get', '--store', 'redis:'], /names no host/],
    [['get', '--store', 'sqlite:x.db', '--revision', '-1'], /expected a revision/],
    [['rollback', 'first', '--store', 'sqlite:x.db'], /expected a revision.*not first/],
    [['history', '--store', 'sqlite:x.db', '--limit', '0'], /--limit/],
    [['apply', 'a.yaml', '--store', 'sqlite:x.db', '--by', ''], /--by/],
    [['apply', 'a.yaml', '--store', 'sqlite:x.db', '-m', 'a\nb'], /--message: expected one line/],
    [['apply', 'a.yaml', '--store', 'sqlite:x.db', '--fleet', 'a/b'], /--fleet/],
  ]
  test('each', async () => {
    const directory = folderWith({ 'a.yaml': shop(1) })
    for (const [args, message] of cases) {
      const { status, err } = await runCli(['config', ...args], { directory })
      expect([args, status]).toEqual([args, 2])
      expect(err).toMatch(message)
    }
    expect(readdirSync(directory)).toEqual(['a.yaml'])
  })
})

test('a URL names a store and what it needs; one that is not there is told, without the password', () => {
  const all = ['memory', 'redis', 'sqlite', 'zookeeper']
  const use = (url: string, known = all) => parseStoreUrl(url, '/home', known)
  expect(use('sqlite:a/b.db')).toMatchObject({ use: 'sqlite', options: { path: '/home/a/b.db' } })
  expect(use('sqlite:///var/b.db')).toMatchObject({ options: { path: '/var/b.db' } })
  expect(use('rediss://:secret@h:1/2')).toMatchObject({
    use: 'redis',
    options: { url: 'rediss://:secret@h:1/2' },
  })
  expect(use('zookeeper://h:2181,i:2181/x')).toMatchObject({ use: 'zookeeper' })
  const message = /^--store: the store redis is not available in this version; there is memory, sqlite$/
  expect(() => use('redis://:secret@h', ['memory', 'sqlite'])).toThrow(message)
})

test('a revision that is not there, and a file that is no store, are told', async () => {
  const { config, directory } = world({ 'broken.db': 'no database, but a text '.repeat(100) })
  await config('apply', 'one.yaml')
  expect(await config('get', '--revision', '7')).toMatchObject({
    status: 2,
    err: expect.stringMatching(/revision 7 is not kept; there is 1 to 1/),
  })
  expect(await config('get', '--fleet', 'other')).toMatchObject({
    status: 2,
    err: expect.stringMatching(/holds no config of this fleet yet/),
  })
  const broken = await runCli(['config', 'get', '--store', 'sqlite:broken.db'], { directory })
  expect(broken).toMatchObject({
    status: 1,
    out: '',
    err: expect.stringMatching(/MR_STORE_DATA .*broken\.db/),
  })
})

/** A store whose newest revision, 2, holds these bytes. */
async function spoilt(bytes: string, schema: number) {
  const made = world()
  await made.config('apply', 'one.yaml')
  await made.config('backup', '--to', 'backups')
  const { store, stop } = await openSqlite(made.directory)
  const head = await store.get('config')
  const note = { by: 'somebody', schema }
  await store.put('config', Buffer.from(bytes), head?.revision ?? null, 'wrong-0123456789', note)
  await stop()
  const [backup] = readdirSync(path.join(made.directory, 'backups'))
  const ways = [
    ['apply', 'two.yaml'],
    ['rollback', '1'],
    ['restore', `backups/${backup}`],
  ]
  return { ...made, ways }
}

test('a newest revision that cannot be understood stands in nobody’s way: it is replaced', async () => {
  for (const way of [0, 1, 2]) {
    const { config, ways } = await spoilt('no JSON', 1)
    const { status, out, err } = await config(...ways[way])
    expect([way, status, err]).toEqual([way, 0, ''])
    expect(out).toMatch(/^-\(7 bytes, SHA-256 [0-9a-f]{64}\)$/m)
    expect(out).toMatch(/revision 3\n$/)
    expect((await config('get')).out).toContain('http://127.0.0.1:9001')
  }
})

test('one that a newer version wrote is not replaced by this one', async () => {
  const { config, ways } = await spoilt('{"services":{}}', 2)
  for (const way of ways) {
    const { status, err } = await config(...way)
    expect([way, status]).toEqual([way, 1])
    expect(err).toMatch(/MR_STORE_DATA .*schema 2, and this version reads up to 1/)
  }
  expect(numbers(await config('history'))).toEqual(['2', '1'])
})

test('a file that is empty is no store, and to look at it makes none of it', async () => {
  const { config, directory } = world({ 'store.db': '' })
  for (const args of [['get'], ['history'], ['apply', 'one.yaml', '--dry-run']]) {
    const { status, err } = await config(...args)
    expect([args, status]).toEqual([args, 2])
    expect(err).toMatch(/there is no store in the file .*store\.db/)
  }
  expect(readFileSync(path.join(directory, 'store.db'))).toHaveLength(0)
  expect(readdirSync(directory).filter((name) => name.startsWith('store.db'))).toEqual(['store.db'])
  expect((await config('apply', 'one.yaml')).status).toBe(0)
})
