/** A writer is killed between its commit and its announcement: every LB engine hears of the change all the same. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../conformance/time.ts'
import { startRedis } from '../harness/redis.ts'
import { type EngineNode, openPart, type Site, startEngine, startRelay } from '../harness/sync-site.ts'

interface Said {
  readonly committed?: number
  readonly announced?: number
  readonly working?: boolean
}

function startProcess(what: 'write' | 'relay', site: Site, count = 0) {
  const script = path.join(import.meta.dirname, 'relay-process.ts')
  const child = spawn(process.execPath, [script, what, JSON.stringify(site), String(count)])
  const said: Said[] = []
  let [rest, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) said.push(JSON.parse(line))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  const says = async <T>(what: string, find: () => T | undefined): Promise<T> => {
    await until(what, () => child.exitCode !== null || find() !== undefined, 30_000)
    const found = find()
    if (found === undefined) throw new Error(`it ended before: ${err}`)
    return found
  }
  return { said, says, kill }
}

/** Commits a config with this number in it, and dies before it announces it. */
async function writeAndDie(site: Site, n: number): Promise<number> {
  const writer = startProcess('write', site, n)
  const number = await writer.says('the writer has committed', () => writer.said.at(0)?.committed)
  await writer.kill()
  expect(writer.said).toHaveLength(1)
  return number
}

const newFolder = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-relay-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function redisSite(store: 'redis' | 'sqlite'): Promise<Site> {
  const { url } = await startRedis({ aof: true })
  const bus = { use: 'redis', options: { url } }
  return { store: store === 'redis' ? bus : { use: 'sqlite', options: {} }, sync: bus, data: newFolder() }
}

async function engines(site: Site, count: number): Promise<EngineNode[]> {
  const nodes: EngineNode[] = []
  for (let index = 0; index < count; index++) {
    const node = await startEngine(site, `lb-${index}`)
    onTestFinished(node.stop)
    nodes.push(node)
  }
  return nodes
}

const quiet = (nodes: readonly EngineNode[]) =>
  until('all have the bus and poll no more', () => nodes.every((node) => !node.state().polling))

const served = (nodes: readonly EngineNode[], n: number) =>
  until(`all serve ${n}`, () => nodes.every((node) => (node.served.at(-1) as { n?: number })?.n === n))

/** Settles when no config waits to be announced. */
async function noted(site: Site): Promise<void> {
  const look = await openPart(site, 'looks')
  onTestFinished(look.stop)
  await until('the announcement is noted', async () => {
    const waiting = await look.store.unannounced()
    return waiting.every(({ document }) => document !== 'config')
  })
}

describe.each(['redis', 'sqlite'] as const)('on %s', (use) => {
  test('the writer dies between commit and announcement: the relay announces it, and all converge by the bus', async () => {
    const site = await redisSite(use)
    expect(await writeAndDie(site, 1)).toBe(1)
    const nodes = await engines(site, 4)
    await served(nodes, 1)
    await quiet(nodes)
    const announced: number[] = []
    const relay = await startRelay(site, 'lb-0', { announced: (number) => announced.push(number) })
    onTestFinished(relay.stop)
    await until('what stood there is announced', () => announced.length === 1)
    for (const n of [2, 3]) {
      const reads = nodes.map((node) => node.state().reads)
      expect(await writeAndDie(site, n)).toBe(n)
      await served(nodes, n)
      // By a hint: nobody has polled meanwhile, nor has the minute passed after which the store is asked in any case.
      expect(nodes.map((node) => [node.state().bus, node.state().polling])).toEqual(
        nodes.map(() => ['up', false]),
      )
      for (const [index, node] of nodes.entries())
        expect(node.state().reads - reads[index]).toBeLessThanOrEqual(6)
    }
    expect(announced).toEqual([1, 2, 3])
    await noted(site)
  })

  test('without a relay nobody hears of it: that is what it is for', async () => {
    const site = await redisSite(use)
    await writeAndDie(site, 1)
    const nodes = await engines(site, 1)
    await served(nodes, 1)
    await quiet(nodes)
    await writeAndDie(site, 2)
    const look = await openPart(site, 'looks')
    onTestFinished(look.stop)
    expect((await look.store.unannounced()).map(({ document }) => document)).toContain('config')
    expect(nodes[0].served).toEqual([{ n: 1 }])
    const { sync, store } = look
    const head = await store.get('config')
    if (head) await sync.announce?.('config', head.revision)
    await served(nodes, 2)
  })
})

test('SQLite with its own watch needs no relay: the store itself tells, whoever has written', async () => {
  const site: Site = {
    store: { use: 'sqlite', options: {} },
    sync: { use: 'native', options: {} },
    data: newFolder(),
  }
  await writeAndDie(site, 1)
  const nodes = await engines(site, 2)
  await quiet(nodes)
  const { relay, stop } = await startRelay(site, 'lb-0')
  onTestFinished(stop)
  expect(relay).toBe(undefined)
  await writeAndDie(site, 2)
  await served(nodes, 2)
})

test('of two relays one works; it is killed, and the other takes over', async () => {
  const site = await redisSite('redis')
  const relays = [startProcess('relay', site), startProcess('relay', site)]
  const working = (index: number): boolean =>
    relays[index].said.findLast((line) => line.working !== undefined)?.working === true
  await until('one works', () => working(0) || working(1), 30_000)
  const first = working(0) ? 0 : 1
  const second = 1 - first
  const announcedBy = (index: number): number[] =>
    relays[index].said.flatMap(({ announced }) => announced ?? [])
  await writeAndDie(site, 1)
  await until('it is announced', () => announcedBy(first).includes(1))
  // Killed between the two it would be announced twice, which is allowed.
  await noted(site)
  expect(announcedBy(second)).toEqual([])
  expect(working(second)).toBe(false)
  await relays[first].kill()
  await writeAndDie(site, 2)
  await until('the other has announced it', () => announcedBy(second).includes(2), 20_000)
  await until('it says that it works', () => working(second))
  expect(announcedBy(second)).toEqual([2])
})
