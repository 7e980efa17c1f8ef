/** What `millrace config` commits to a Redis store is announced by it: engines hear of it with no relay anywhere. */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../conformance/time.ts'
import { startRedis } from '../harness/redis.ts'
import { type EngineNode, type Site, startEngine } from '../harness/sync-site.ts'
import { folderWith, type RunOptions, runCli } from './run-cli.ts'

const key = '0123456789abcdef'
const configOf = (port: number, more = ''): string =>
  `${more}routes: [{ service: app }]\nservices: { app: { backends: ["http://127.0.0.1:${port}"] } }\n`

async function begin(fleetKeys: readonly string[] = []) {
  const { url } = await startRedis({ aof: true })
  const directory = folderWith({
    'first.yaml': configOf(9001),
    'second.yaml': configOf(9002),
    'sealed.yaml': configOf(9003, `fleetKey: \${FLEET_KEY}\n`),
  })
  const options: RunOptions = { directory, env: { FLEET_KEY: key } }
  const run = async (...args: string[]) => {
    const ended = await runCli(['config', ...args, '--store', url], options)
    expect(ended).toMatchObject({ status: 0, err: '' })
  }
  await run('apply', 'first.yaml')
  const bus = { use: 'redis', options: { url } }
  const site: Site = { store: bus, sync: bus, data: path.join(directory, 'data'), fleetKeys }
  const nodes: EngineNode[] = []
  for (const id of ['lb-1', 'lb-2', 'lb-3']) {
    const node = await startEngine(site, id)
    onTestFinished(node.stop)
    nodes.push(node)
  }
  await until('all have the bus and poll no more', () => nodes.every((node) => !node.state().polling))
  const serve = async (port: number): Promise<void> => {
    await until(`all serve ${port}`, () =>
      nodes.every((node) => JSON.stringify([node.served.at(-1)]).includes(`:${port}`)),
    )
    // By a hint: nobody has polled meanwhile.
    expect(nodes.map((node) => [node.state().bus, node.state().polling])).toEqual(
      nodes.map(() => ['up', false]),
    )
  }
  return { run, serve, directory }
}

test('apply, rollback and restore', async () => {
  const { run, serve, directory } = await begin()
  await serve(9001)
  await run('backup', '--to', 'backups')
  await run('apply', 'second.yaml')
  await serve(9002)
  await run('rollback', '1')
  await serve(9001)
  await run('apply', 'second.yaml')
  await serve(9002)
  const [backup] = readdirSync(path.join(directory, 'backups'))
  await run('restore', path.join('backups', backup))
  await serve(9001)
})

test('a fleet with a key hears of it where the file says the key', async () => {
  const { run, serve } = await begin([key])
  await serve(9001)
  await run('apply', 'sealed.yaml')
  await serve(9003)
  await run('apply', 'second.yaml', '-c', 'sealed.yaml')
  await serve(9002)
})

test('a bus that does not answer fails no command: what was committed is committed', async () => {
  const { url } = await startRedis({ aof: true, more: ['--rename-command', 'PUBLISH', ''] })
  const directory = folderWith({ 'first.yaml': configOf(9001) })
  const ended = await runCli(['config', 'apply', 'first.yaml', '--store', url], { directory })
  expect(ended).toMatchObject({ status: 0, err: '' })
  expect(ended.out).toMatch(/revision 1$/m)
})
