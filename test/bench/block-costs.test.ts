/** What a block costs beside its time, of programs whose costs are known. */
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseStubStatus } from '../../bench/arms/accepted.ts'
import type { RunningArm } from '../../bench/arms/arm.ts'
import { type Backend, startBackend } from '../../bench/arms/backend.ts'
import { Processes } from '../../bench/arms/processes.ts'
import { freePort, waitUntilReady } from '../../bench/arms/ready.ts'
import { beginCosts } from '../../bench/harness/block-costs.ts'
import { startDelayBackend } from '../../bench/harness/delay-backend.ts'
import { beginProbes, liveHeaps, probesOf, threadUse } from '../../bench/stats/node-probe.ts'
import { processTree } from '../../bench/stats/process-tree.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-costs-'))
const processes = new Processes(directory)
const script = fileURLToPath(new URL('./fixtures/measured-program.ts', import.meta.url))

afterAll(async () => {
  await processes.stopAll()
  rmSync(directory, { recursive: true, force: true })
})

async function program(
  what: 'allocate' | 'keep' | 'block' | 'idle',
  by = processes.probed(),
  flags: readonly string[] = [],
): Promise<RunningArm> {
  const port = await freePort(Math.random)
  const command = [process.execPath, ...flags, script, String(port), what]
  const started = by.start(what, command, { cores: '0,1' })
  await waitUntilReady(started, `http://127.0.0.1:${port}/`)
  return { started, port, adminPort: undefined, setBackends: undefined }
}

function get(port: number, path = '/', agent: Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, agent, host: '127.0.0.1' }, (response) => {
      let text = ''
      response.setEncoding('latin1')
      response.on('data', (part: string) => {
        text += part
      })
      response.once('end', () => resolve(text))
    })
    sent.once('error', reject)
    sent.end()
  })
}

async function load(running: RunningArm, requests: number) {
  const readings = await beginCosts(running, 1)
  for (let sent = 0; sent < requests; sent++) await get(running.port)
  return readings.end(requests)
}

describe('a Node program', () => {
  test('that allocates 1 MiB a request in a worker thread: that much, and its collections', async () => {
    const requests = 200
    const { values, costs } = await load(await program('allocate'), requests)
    expect(costs.missing.node).toBeUndefined()
    expect(costs.threads.map(({ thread }) => thread)).toEqual([0, 1])
    // What node:http needs for a request comes on top: some KiB.
    expect(values.allocated).toBeGreaterThan(1024 * 1024)
    expect(values.allocated).toBeLessThan(1.3 * 1024 * 1024)
    // 200 MiB through a young generation of a few MiB.
    expect(values.gcCount).toBeGreaterThan(2)
    expect(values.gcPer1000).toBe((values.gcCount * 1000) / requests)
    expect(values.gcMs).toBeGreaterThanOrEqual(values.gcLongest)
    expect(values.gcLongest).toBeGreaterThan(0)
    expect(values.gcShare).toBeGreaterThan(0)
    expect(values.gcShare).toBeLessThan(1)
    expect(values.heap).toBeGreaterThan(1)
    expect(values.heap).toBeLessThan(values.rss)
  })

  test.each([
    ['allocate', -0.5, 0.5],
    ['keep', 2.5, 4],
  ] as const)('that can be told to collect tells what is alive: three times 1 MiB (%s)', async (what, least, most) => {
    const { started, port } = await program(what, processes.probed(), ['--expose-gc'])
    const live = () => liveHeaps(probesOf(started.probes!, processTree(started.pid)))
    await get(port)
    const before = await live()
    expect(before.map(({ thread }) => thread)).toEqual([0, 1])
    expect(before[1].bytes).toBeGreaterThan(1024 * 1024)
    for (let sent = 0; sent < 3; sent++) await get(port)
    const rise = (await live()).map(({ bytes }, index) => (bytes - before[index].bytes) / (1024 * 1024))
    expect(Math.abs(rise[0])).toBeLessThan(0.5)
    expect(rise[1]).toBeGreaterThan(least)
    expect(rise[1]).toBeLessThan(most)
  })

  test('that cannot be told to collect gives no such figure', async () => {
    const { started } = await program('idle')
    const sockets = probesOf(started.probes!, processTree(started.pid))
    expect(await beginProbes(sockets)).toHaveLength(1)
    expect(await liveHeaps(sockets)).toEqual([])
  })

  test('that allocates next to nothing has next to nothing', async () => {
    const { values } = await load(await program('idle'), 1)
    expect(values.allocated).toBeLessThan(20 * 1024 * 1024)
  })

  test('that blocks its loop for a known time: at least that share is busy', async () => {
    const running = await program('block')
    const readings = await beginCosts(running, 1)
    const before = Number(await get(running.port))
    let blocked = 0
    while (blocked < 600) blocked = Number(await get(running.port)) - before
    const { values, costs } = await readings.end(1)
    const known = blocked / 1000 / costs.threads[0].seconds
    expect(values.loopBusy).toBeGreaterThan(known - 0.01)
    expect(values.loopBusy).toBeLessThanOrEqual(1)
  })

  test('is measured anew each time, and tells when a thread gives no answer', async () => {
    const running = await program('allocate')
    const many = await load(running, 40)
    const few = await load(running, 1)
    const bytes = (costs: typeof few.costs) =>
      costs.threads.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0)
    expect(bytes(many.costs)).toBeGreaterThan(40 * 1024 * 1024)
    expect(bytes(few.costs)).toBeLessThan(20 * 1024 * 1024)
    const readings = await beginCosts(running, 1)
    await running.started.stop()
    const { values, costs } = await readings.end(1)
    expect(costs.missing.node).toBe('2 of its threads gave no answer')
    expect(values.allocated).toBeUndefined()
  })

  test('CPU is split into user and system, memory is sampled through the block', async () => {
    const { values, costs } = await load(await program('allocate'), 400)
    expect(values.cpuUser + values.cpuSystem).toBeCloseTo(values.cpu, 6)
    expect(values.cpuUser).toBeGreaterThan(0)
    expect(costs.rss.length).toBeGreaterThan(1)
    expect(costs.rss[0][1]).toBeGreaterThan(20)
    expect(costs.rss.every(([, mebibytes]) => mebibytes > 0)).toBe(true)
  })
})

describe('connections that the backend accepted', () => {
  let backend: Backend
  beforeAll(async () => {
    backend = await startBackend(processes, directory, '1', Math.random)
  })
  const direct = (): RunningArm => ({ ...backend, adminPort: undefined, setBackends: undefined })

  test('nginx: a new one for each request, without those of the readings', async () => {
    const readings = await beginCosts(direct(), 1)
    for (let sent = 0; sent < 20; sent++) await get(backend.port, '/64')
    const { values, costs } = await readings.end(20)
    expect(values.opened).toBe(1000)
    expect(costs.missing.node).toBe('the backend itself')
    expect(values.allocated).toBeUndefined()
  })

  test('nginx: one that is kept for all', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const readings = await beginCosts(direct(), 1)
    for (let sent = 0; sent < 20; sent++) await get(backend.port, '/64', agent)
    expect((await readings.end(20)).values.opened).toBe(50)
    agent.destroy()
  })

  test('the backend that takes its time counts the same', async () => {
    const slow = await startDelayBackend(processes, '1', Math.random, {
      ...{ delayMs: 1, sigma: 0, seed: 1, bodyBytes: 1, stallMs: 0, stallAfterMs: 0 },
    })
    const before = await slow.accepted()
    for (let sent = 0; sent < 5; sent++) await get(slow.port)
    expect((await slow.accepted()) - before).toBe(5)
  })

  test('are missing, not none, where nobody counts them', async () => {
    const { values, costs } = await load(await program('idle', processes), 1)
    expect(values.opened).toBeUndefined()
    expect(costs.missing.connections).toBe('the backend does not count them')
  })

  test('of a page that is none of stub_status there is no count', () => {
    expect(() => parseStubStatus('<html>')).toThrow(/three numbers expected, not "<html>"/)
  })
})

test('what is allocated is the growth between collections, whatever they free', () => {
  const use = threadUse({
    ...{ thread: 1, elapsedMs: 2000, loopBusy: 0.5, heapAtBegin: 100, heapAtEnd: 90 },
    collections: [
      { ms: 1, before: 150, after: 40 },
      { ms: 3, before: 140, after: 60 },
    ],
  })
  expect(use).toEqual({
    ...{ thread: 1, seconds: 2, loopBusy: 0.5, collections: 2, gcMs: 4, longestMs: 3 },
    ...{ allocatedBytes: 50 + 100 + 30, heapBytes: 40 },
  })
})
