import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { startRedis } from '../harness/redis.ts'
import { callCli } from './call-cli.ts'
import { folderWith, type RunOptions, runCli, startCli } from './run-cli.ts'

const node = (code: string): string[] => ['--', process.execPath, '-e', code]
const store = ['--store', 'sqlite:locks.db']

/** Says that it runs, and ends when it is told to. */
const waits = `console.log('runs with ' + process.env.MILLRACE_LOCK_TOKEN); process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000)`

function world() {
  const options: RunOptions = { directory: folderWith({}) }
  return {
    directory: options.directory ?? '',
    run: (...args: string[]) => runCli(['lock', ...args], options),
    /** Without a process of its own: what the command says itself goes elsewhere. */
    call: (...args: string[]) => callCli(['lock', ...args], options),
    start: (...args: string[]) => startCli(['lock', ...args], options),
  }
}

test('runs the command with the token in its environment, and ends with its status', async () => {
  const { run, call } = world()
  const say =
    'console.log(process.env.MILLRACE_LOCK, process.env.MILLRACE_LOCK_TOKEN, process.env.MILLRACE_LOCK_LINEAGE.length > 0)'
  const tokens: number[] = []
  for (let round = 0; round < 2; round++) {
    const { status, out } = await run('jobs/nightly', ...store, ...node(say))
    expect(status).toBe(0)
    tokens.push(Number(/^jobs\/nightly (\d+) true\n$/.exec(out)?.[1]))
  }
  expect(tokens[1]).toBeGreaterThan(tokens[0])
  expect((await call('jobs/nightly', ...store, ...node('process.exit(3)'))).status).toBe(3)
})

test('another that wants it meanwhile is told so, with status 75, or waits; SIGTERM reaches the command', async () => {
  const { run, call, start } = world()
  const first = start('job', ...store, ...node(waits))
  await first.waitFor(/runs with \d+/)
  expect(await run('job', ...store, ...node('console.log("never")'))).toEqual({
    status: 75,
    out: '',
    err: "millrace: the lock job is another's; the command was not run\n",
  })
  expect((await call('other', ...store, ...node(''))).status).toBe(0)
  const next = start('job', ...store, '--wait', 'forever', ...node('console.log("at last")'))
  first.child.kill('SIGTERM')
  expect((await first.ended).status).toBe(7)
  expect(await next.ended).toMatchObject({ status: 0, out: 'at last\n' })
})

test('a command whose lock is lost is ended', async () => {
  const server = await startRedis({ aof: true })
  const { start } = world()
  const running = start('job', '--redis', server.url, '--ttl', '600ms', ...node(waits))
  await running.waitFor(/runs with \d+/)
  await server.command('set', '{millrace:default:locks}:lease:job', '1\nsomebody', 'px', 60_000)
  const { status, err } = await running.ended
  expect(status).toBe(75)
  expect(err).toMatch(/millrace: the lock job is lost: .*; the command was ended\n$/)
})

test('one that does not heed SIGTERM is killed after the grace', async () => {
  const server = await startRedis({ aof: true })
  const { directory, start } = world()
  const deaf = `process.on('SIGTERM', () => require('fs').writeFileSync('heard', 'x')); ${waits.replace(/process\.on.*?7\)\); /, '')}`
  const running = start('job', '--redis', server.url, '--ttl', '600ms', '--grace', '200ms', ...node(deaf))
  await running.waitFor(/runs with \d+/)
  await server.command('set', '{millrace:default:locks}:lease:job', '1\nsomebody', 'px', 60_000)
  expect((await running.ended).status).toBe(75)
  expect(readFileSync(path.join(directory, 'heard'), 'utf8')).toBe('x')
})

test('Redlock, with its tokens from the store', async () => {
  const servers = await Promise.all([1, 2, 3].map(() => startRedis()))
  const { run } = world()
  const nodes = servers.map(({ url }) => url).join(',')
  const say = 'console.log(process.env.MILLRACE_LOCK_TOKEN)'
  const tokens: number[] = []
  for (let round = 0; round < 2; round++) {
    const { status, out } = await run('job', '--redlock', nodes, ...store, '--wait', '5s', ...node(say))
    expect(status).toBe(0)
    tokens.push(Number(out))
  }
  expect(tokens[0]).toBeGreaterThan(0)
  expect(tokens[1]).toBeGreaterThan(tokens[0])
})

test('a command line that makes no sense: status 2, and nothing is run', async () => {
  const { call } = world()
  const cases: [args: string[], message: RegExp][] = [
    [['job', ...node('')], /which store\?/],
    [['job', ...store, '--ttl', '10', ...node('')], /--ttl: expected a duration/],
    [['job', ...store, '--wait', 'long', ...node('')], /--wait: expected a duration/],
    [['job', '--redis', 'redis://h', '--redlock', 'redis://h', ...node('')], /a lock is in one place/],
    [['job', ...store, '--', '/nonexistent/command'], /\/nonexistent\/command cannot be run: .*ENOENT/],
    [['job', '--redis', 'http://h', ...node('')], /MR_PLUGIN_OPTIONS.*expected redis:/s],
    [['job', '--redlock', 'redis://h', ...store, ...node('')], /MR_PLUGIN_OPTIONS/],
  ]
  for (const [args, message] of cases) {
    const { status, err } = await call(...args)
    expect([args, status]).toEqual([args, 2])
    expect(err).toMatch(message)
  }
  const refused = await call('a b', ...store, ...node(''))
  expect(refused).toMatchObject({ status: 1, err: expect.stringMatching(/MR_STORE_LIMIT/) })
})
