/** LB servers in processes of their own, on Redis: `config apply` does not know their `fleetKey`, so that nobody believes what it
 * announces, and they hear of it at once all the same. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { until } from '../conformance/time.ts'
import { startRedis } from '../harness/redis.ts'
import { wordBackend } from '../harness/word-backend.ts'
import { callCli } from './call-cli.ts'
import { folderWith, type Running, startCli } from './run-cli.ts'

const local = (id: string, url: string): string => `
fleetKey: known-to-the-nodes-alone
node: { id: ${id}, threads: 1, data: ./${id} }
admin: false
drain: { delay: 0s, timeout: 1s }
listeners: { web: { address: "127.0.0.1:0" } }
store: { use: redis, url: "${url}" }
`

test('by the relay of one of them; it is killed, and that of another takes over', async () => {
  const { url } = await startRedis({ aof: true })
  const directory = folderWith({ 'a.yaml': local('a', url), 'b.yaml': local('b', url) })
  const apply = async (word: string): Promise<void> => {
    const routed = `routes: [{ service: app }]\nservices: { app: { backends: ["${await wordBackend(word)}"] } }\n`
    writeFileSync(path.join(directory, 'routes.yaml'), routed)
    const applied = await callCli(['config', 'apply', 'routes.yaml', '--store', url], { directory })
    expect(applied).toMatchObject({ status: 0 })
  }
  await apply('one')
  const start = async (name: string) => {
    const running: Running = startCli(['lb', '-c', `${name}.yaml`], { directory })
    const [, address] = await running.waitFor(/"url":"(http[^"]+)"/)
    await running.waitFor(/the bus is up/)
    const get = async (): Promise<string> => (await fetch(address)).text()
    const relays = (): boolean => running.text.err.includes('this node announces what was committed')
    return { running, get, relays }
  }
  const nodes = [await start('a'), await start('b')]
  await until('one of them relays', () => nodes.some((node) => node.relays()))
  await apply('two')
  for (const node of nodes) await until('it serves the second', async () => (await node.get()) === 'two')
  expect(nodes.filter((node) => node.relays())).toHaveLength(1)

  const [killed, left] = nodes[0].relays() ? nodes : [nodes[1], nodes[0]]
  killed.running.child.kill('SIGKILL')
  await killed.running.ended
  await apply('three')
  await until('the other serves the third', async () => (await left.get()) === 'three', 20_000)
  expect(left.relays()).toBe(true)
  expect(left.running.text.err).not.toMatch(/the bus is down/)

  left.running.child.kill('SIGTERM')
  expect((await left.running.ended).status).toBe(0)
})
