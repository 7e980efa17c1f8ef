import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Processes } from '../../bench/arms/processes.ts'
import { OpenLoopDriver } from '../../bench/harness/open-loop-driver.ts'
import type { OpenLoopOptions } from '../../bench/load/open-loop.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-driver-'))
const processes = new Processes(directory)
const host = { processes, cores: '0' }
let server: Server
let requests = 0

beforeAll(async () => {
  server = createServer((_, response) => {
    requests++
    response.end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  await processes.stopAll()
  server.closeAllConnections()
  server.close()
  rmSync(directory, { recursive: true, force: true })
})

const block = (change: Partial<OpenLoopOptions> = {}): OpenLoopOptions => ({
  ...{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, ratePerSecond: 300, seconds: 0.4 },
  ...{ warmupSeconds: 0.1, arrivals: 'uniform', seed: 1, connections: 32, patienceMs: 5000, spin: false },
  ...change,
})

/** Runs a program that starts a driver and ends without a word to it; gives the driver's pid. */
function pidLeftBy(program: string): Promise<number> {
  const parent = processes.start('parent', [process.execPath, '--input-type=module', '-e', program], {
    cores: '0',
  })
  return parent.exited.then(() => Number(/pid (\d+)/.exec(parent.output())?.[1]))
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('the open-loop driver', () => {
  let driver: OpenLoopDriver
  beforeAll(async () => {
    driver = await OpenLoopDriver.start(host, { warmupSeconds: 0.2 })
  })

  test('measures one block after the other in the same process', async () => {
    const { pid } = driver
    const first = await driver.run(block())
    const before = requests
    const second = await driver.run(block({ ratePerSecond: 100 }))
    expect(driver.pid).toBe(pid)
    expect([first.completed, second.completed]).toEqual([first.planned, second.planned])
    expect(first.planned).toBeGreaterThan(2 * second.planned)
    expect(requests - before).toBe(second.sent)
    expect(second.options.ratePerSecond).toBe(100)
  })

  test('says what is wrong with a block, and measures the next one', async () => {
    await expect(driver.run(block({ url: 'nowhere' }))).rejects.toThrow(/the open-loop driver: .*URL/)
    expect((await driver.run(block())).failed).toBe(0)
  })

  test('counts as failed what nobody answers', async () => {
    const result = await driver.run(block({ url: 'http://127.0.0.1:1/', patienceMs: 300 }))
    expect(result.failed).toBe(result.planned)
  })

  test('that ends in a block rejects it with its exit', async () => {
    const other = await OpenLoopDriver.start(host, { warmupSeconds: 0 })
    const running = other.run(block({ seconds: 30 }))
    const rejected = expect(running).rejects.toThrow(/the open-loop driver ended/)
    process.kill(other.pid, 'SIGKILL')
    await rejected
    await expect(other.run(block())).rejects.toThrow(/ended/)
  })

  test('that says nothing in time is ended', async () => {
    // A grace below zero: time is up before the block can be over.
    const other = await OpenLoopDriver.start(host, { warmupSeconds: 0 })
    await expect(other.run(block({ seconds: 2, patienceMs: 0 }), -1500)).rejects.toThrow(/no answer in time/)
    await other.stop()
    expect(isRunning(other.pid)).toBe(false)
  })

  test('ends with the process that started it', async () => {
    const harness = new URL('../../bench/', import.meta.url).href
    const pid = await pidLeftBy(`
      import { Processes } from '${harness}arms/processes.ts'
      import { OpenLoopDriver } from '${harness}harness/open-loop-driver.ts'
      const host = { processes: new Processes(${JSON.stringify(directory)}), cores: '0' }
      const driver = await OpenLoopDriver.start(host, { warmupSeconds: 0 })
      void driver.run(${JSON.stringify(block({ seconds: 600 }))}).catch(() => {})
      console.log('pid', driver.pid)
      process.kill(process.pid, 'SIGKILL')
    `)
    expect(pid).toBeGreaterThan(0)
    await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false)
  })
})
