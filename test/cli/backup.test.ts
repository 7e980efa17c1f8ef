import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { startRedis } from '../harness/redis.ts'
import { openSqlite, startProcess } from '../plugins/config-store/sqlite-world.ts'
import { folderWith, type RunResult, runCli, startCli } from './run-cli.ts'

const shop = (...ports: number[]): string =>
  `routes: [{ service: shop }]\nservices: { shop: { backends: ${JSON.stringify(
    ports.map((port) => `http://127.0.0.1:${port}`),
  )} } }\n`

function world(store = 'sqlite:store.db') {
  const directory = folderWith({ 'one.yaml': shop(9001), 'two.yaml': shop(9001, 9002), 'bad.txt': 'x' })
  const env = { USER: 'ann' }
  const run = (args: string[], from = store): Promise<RunResult> =>
    runCli(['config', ...args, '--store', from], { directory, env })
  const config = (...args: string[]): Promise<RunResult> => run(args)
  const backups = (): string[] => readdirSync(path.join(directory, 'backups')).sort()
  const file = (name: string): string => path.join(directory, 'backups', name)
  return { directory, run, config, backups, file }
}

const history = async (config: (...args: string[]) => Promise<RunResult>): Promise<string[]> =>
  (await config('history')).out
    .split('\n')
    .slice(1)
    .flatMap((line) => (line === '' ? [] : [line.split(' ')[0]]))

/** A store that holds two revisions, and a backup of it. */
async function backedUp(store?: string) {
  const made = world(store)
  await made.config('apply', 'one.yaml')
  await made.config('apply', 'two.yaml', '-m', 'a second one')
  const first = await made.config('backup', '--to', 'backups')
  expect(first).toMatchObject({ status: 0, err: '' })
  const [name] = made.backups()
  return { ...made, first, name }
}

test('a backup says what is in it; restored into the same store nothing changes, into an empty one all is there', async () => {
  const { config, run, first, name } = await backedUp()
  expect(first.out).toMatch(
    /^millrace-default-\S+Z-full\.ndjson in .*backups\n {2}full: config 2; 2 revisions; SHA-256 [0-9a-f]{64}\n$/,
  )
  expect(await config('restore', `backups/${name}`)).toMatchObject({
    status: 0,
    out: expect.stringMatching(/its checksum is right\nconfig: unchanged, revision 2\n$/),
  })
  const { status, out } = await run(['restore', `backups/${name}`], 'sqlite:other.db')
  expect(status).toBe(0)
  expect(out).toMatch(
    /--- config: nothing\n\+\+\+ config: revision 2 by ann@\S+ at \S+: a second one, of the backup/,
  )
  expect(out).toMatch(/^\+ {6}- http:\/\/127\.0\.0\.1:9002$/m)
  expect(out).toMatch(/config: revision 1\n$/)
  const body = (result: RunResult): string => result.out.replace(/^#.*\n/, '')
  expect(body(await run(['get'], 'sqlite:other.db'))).toBe(body(await config('get')))
  expect((await run(['history'], 'sqlite:other.db')).out).toMatch(
    new RegExp(`^1 .*restored from ${name.replaceAll('.', '\\.')}, of \\S+Z$`, 'm'),
  )
})

test('restore goes on with the history and shows what changes; --dry-run writes nothing', async () => {
  const { config, name } = await backedUp()
  await config('apply', 'one.yaml')
  const dry = await config('restore', `backups/${name}`, '--dry-run')
  expect(dry.out).toMatch(/^--- config: revision 3 by .*\n\+\+\+ config: revision 2 by .*, of the backup$/m)
  expect(dry.out).toMatch(/^\+ {6}- http:\/\/127\.0\.0\.1:9002$/m)
  expect(dry.out).toMatch(/not written: --dry-run\n$/)
  expect(await history(config)).toEqual(['3', '2', '1'])
  const real = await config('restore', `backups/${name}`, '-m', 'as it was')
  expect(real).toMatchObject({ status: 0, out: expect.stringMatching(/config: revision 4\n$/) })
  expect(await history(config)).toEqual(['4', '3', '2', '1'])
  expect((await config('history')).out).toMatch(/^4 .*as it was$/m)
  expect((await config('get')).out).toContain('9002')
})

test('an incremental one holds what is new, can be restored by itself, and the oldest go', async () => {
  const { config, run, backups } = await backedUp()
  await config('apply', 'one.yaml')
  const second = await config('backup', '--to', 'backups', '--incremental')
  expect(second.out).toMatch(/incremental, since millrace-default-\S+full\.ndjson: config 3; 1 revision; SHA/)
  const name = backups().find((one) => one.includes('incremental')) ?? ''
  expect((await run(['restore', `backups/${name}`], 'sqlite:other.db')).out).toMatch(/config: revision 1\n$/)
  expect((await run(['get'], 'sqlite:other.db')).out).not.toContain('9002')
  const third = await config('backup', '--to', 'backups', '--keep', '1')
  expect(third.out.match(/^removed .*$/gm)).toHaveLength(2)
  expect(backups()).toHaveLength(1)
  // Nothing to go on from: another store.
  await run(['apply', 'one.yaml'], 'sqlite:new.db')
  const full = await run(['backup', '--to', 'backups', '--incremental'], 'sqlite:new.db')
  expect(full).toMatchObject({
    status: 0,
    err: expect.stringMatching(/a full backup: the store does not go on/),
  })
})

test('the same on Redis', async () => {
  const { url } = await startRedis({ aof: true })
  const { config, name } = await backedUp(url)
  await config('apply', 'one.yaml')
  expect((await config('restore', `backups/${name}`)).out).toMatch(/config: revision 4\n$/)
  expect(await history(config)).toEqual(['4', '3', '2', '1'])
})

describe('what is not written into the store', () => {
  const broken: [what: string, change: (bytes: Buffer) => Buffer, message: RegExp][] = [
    ['a truncated backup', (bytes) => bytes.subarray(0, bytes.length - 40), /the backup is cut off/],
    [
      'a damaged one',
      (bytes) => Buffer.from(bytes.toString().replace('a second one', 'a third one!')),
      /the checksum of the backup is wrong/,
    ],
    ['an empty file', () => Buffer.alloc(0), /the backup is empty/],
    ['another file', () => Buffer.from(shop(1)), /this is no backup of millrace/],
  ]
  test('a broken backup, with what is wrong about it', async () => {
    const { config, file, name } = await backedUp()
    await config('apply', 'one.yaml')
    const bytes = readFileSync(file(name))
    for (const [what, change, message] of broken) {
      writeFileSync(file(name), change(bytes))
      const { status, err } = await config('restore', `backups/${name}`)
      expect([what, status]).toEqual([what, 1])
      expect(err).toMatch(/^millrace: MR_BACKUP millrace-default-\S+: /)
      expect(err).toMatch(message)
    }
    expect(await history(config)).toEqual(['3', '2', '1'])
    expect((await config('restore', 'backups/nothing')).status).toBe(2)
  })

  test('one of another fleet, unless it is named', async () => {
    const { config, run, name } = await backedUp()
    const other = await config('restore', `backups/${name}`, '--fleet', 'other')
    expect(other).toMatchObject({
      status: 1,
      out: '',
      err: expect.stringMatching(
        /is a backup of the fleet default, and this would write it to the fleet other/,
      ),
    })
    expect((await run(['get', '--fleet', 'other'])).status).toBe(2)
  })

  test('a config that this version, with its plugins, would refuse', async () => {
    const { directory, config, run, backups } = world()
    await config('apply', 'one.yaml')
    const { store, stop } = await openSqlite(directory)
    const head = await store.get('config')
    const wrong = Buffer.from('{"services":{"shop":{"algorithm":"none-such","backends":[]}}}')
    await store.put('config', wrong, head?.revision ?? null, 'wrong-0123456789', { by: 'a plugin of then' })
    await stop()
    await config('backup', '--to', 'backups')
    const { status, err } = await run(['restore', `backups/${backups()[0]}`], 'sqlite:other.db')
    expect(status).toBe(2)
    expect(err).toMatch(/MR_PLUGIN_UNKNOWN.*none-such/)
    expect((await run(['get'], 'sqlite:other.db')).status).toBe(2)
  })
})

test.each([
  [
    'of a newer schema',
    2,
    '{"schema":2,"revision":0,"breakers":[]}',
    /written in schema 2, and this version reads up to 1/,
  ],
  [
    'that are none',
    1,
    '{"schema":1,"breakers":"all"}',
    /overrides in the store cannot be understood: breakers/,
  ],
])('overrides %s, which no node could use, are not written, nor is anything else', async (_what, schema, text, message) => {
  const { directory, config, run, backups } = world()
  await config('apply', 'one.yaml')
  const { store, stop } = await openSqlite(directory)
  await store.put('overrides', Buffer.from(text), null, 'wrong-0123456789', { by: 'another version', schema })
  await stop()
  await config('backup', '--to', 'backups')
  const { status, err } = await run(['restore', `backups/${backups()[0]}`], 'sqlite:other.db')
  expect(status).toBe(1)
  expect(err).toMatch(/MR_STORE_DATA/)
  expect(err).toMatch(message)
  expect((await run(['get'], 'sqlite:other.db')).status).toBe(2)
})

test('a command takes it from its input, or says why not', async () => {
  const { config, run, directory } = await backedUp()
  const cat = await config('backup', '--command', 'cat > "copy-$MILLRACE_BACKUP_KIND"')
  expect(cat).toMatchObject({ status: 0, err: '' })
  expect((await run(['restore', 'copy-full'], 'sqlite:other.db')).out).toMatch(/config: revision 1\n$/)
  expect(readdirSync(directory)).toContain('copy-full')
  expect(
    await config('backup', '--command', 'cat >/dev/null; echo no such bucket >&2; exit 4'),
  ).toMatchObject({
    status: 1,
    out: '',
    err: expect.stringMatching(/MR_BACKUP the backup was not taken by --command: .*status 4: no such bucket/),
  })
})

describe('SQLite as a file', () => {
  test('is copied while another process writes: whole, and with all that was acknowledged before', async () => {
    const { directory, run } = world()
    mkdirSync(path.join(directory, 'data'))
    const data = path.join(directory, 'data')
    const writer = startProcess('write', data)
    const acknowledged = (): number =>
      (writer.said.findLast((line) => line.acknowledged) as { acknowledged?: { number: number } } | undefined)
        ?.acknowledged?.number ?? 0
    await expect.poll(acknowledged, { timeout: 20_000 }).toBeGreaterThan(3)
    const before = acknowledged()
    const copied = await run(['backup', '--copy', 'copy.db'], 'sqlite:data/store.db')
    expect(copied).toMatchObject({ status: 0, err: '' })
    await expect.poll(acknowledged, { timeout: 20_000 }).toBeGreaterThan(before + 3)
    await writer.kill()
    expect(readdirSync(directory).filter((name) => name.includes('copy.db'))).toEqual(['copy.db'])
    const { store } = await openSqlite(directory, { path: 'copy.db' })
    expect((await store.get('config'))?.revision.number).toBeGreaterThanOrEqual(before)
    const original = await openSqlite(data)
    expect(await store.lineage()).toBe(await original.store.lineage())
  })

  test('a link that lies where a copy might be made first is not followed', async () => {
    const { directory, config } = await backedUp()
    symlinkSync('bad.txt', path.join(directory, '.copy.db.tmp'))
    await config('backup', '--copy', 'copy.db')
    expect(readFileSync(path.join(directory, 'bad.txt'), 'utf8')).toBe('x')
    expect(statSync(path.join(directory, 'copy.db')).mode & 0o777).toBe(0o600)
  })

  test('nothing is written over, and only a SQLite store is a file', async () => {
    const { config, run } = await backedUp()
    expect(await config('backup', '--copy', 'bad.txt')).toMatchObject({
      status: 2,
      err: expect.stringMatching(/bad\.txt is there already/),
    })
    expect((await run(['backup', '--copy', 'c.db'], 'redis://h')).err).toMatch(/only a store sqlite:PATH/)
    expect((await run(['backup', '--copy', 'c.db'], 'sqlite:none.db')).err).toMatch(/there is no file/)
  })
})

test('a command line that makes no sense: exit status 2, nothing written', async () => {
  const { config, directory } = world()
  await config('apply', 'one.yaml')
  const cases: [args: string[], message: RegExp][] = [
    [[], /where to\?/],
    [['--to', 'a', '--command', 'b'], /where to\?/],
    [['--command', 'true', '--incremental'], /look at what is in the folder/],
    [['--to', 'a', '--keep', '0'], /--keep: expected a number from 1/],
    [['--to', 'a', '--fleet', 'other'], /holds nothing of the fleet other/],
  ]
  for (const [args, message] of cases) {
    const { status, err } = await config('backup', ...args)
    expect([args, status]).toEqual([args, 2])
    expect(err).toMatch(message)
  }
  expect(existsSync(path.join(directory, 'a'))).toBe(false)
})

test('millrace lb makes backups by itself, where its config says so', async () => {
  const { directory, config, backups } = world()
  await config('apply', 'one.yaml')
  const file = (more: string): string => `
node: { threads: 1, data: ./data }
admin: false
drain: { delay: 0s, timeout: 1s }
listeners: { web: { address: "127.0.0.1:0" } }
store: { use: sqlite, path: ${JSON.stringify(path.join(directory, 'store.db'))} }
${more}`
  writeFileSync(path.join(directory, 'lb.yaml'), file('backup: { to: ./backups }'))
  const running = startCli(['lb', '-c', 'lb.yaml'], { directory })
  await running.waitFor(/"msg":"backup: millrace-default-\S+-full\.ndjson is in /)
  expect(backups()).toHaveLength(1)
  running.child.kill('SIGTERM')
  expect((await running.ended).status).toBe(0)
  expect((await config('restore', `backups/${backups()[0]}`)).out).toMatch(/config: unchanged/)
  for (const [more, message] of [
    ['backup: { to: a, command: b }', /expected `to`, a folder, or `command`/],
    ['backup: {}', /expected `to`, a folder, or `command`/],
    ['backup: { to: a, keep: 0 }', /keep/],
  ] as const) {
    writeFileSync(path.join(directory, 'wrong.yaml'), file(more))
    const { status, err } = await runCli(['check', 'wrong.yaml'], { directory })
    expect([more, status]).toEqual([more, 2])
    expect(err).toMatch(message)
  }
})
