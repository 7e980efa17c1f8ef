import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { makeCertificate } from '../../bench/arms/certificate.ts'
import { Processes } from '../../bench/arms/processes.ts'
import { runSuite } from '../../bench/harness/run-suite.ts'
import { closedLoop, type LoadTool } from '../../bench/load/closed-loop.ts'
import type { WrkOptions, WrkResult } from '../../bench/load/wrk.ts'
import { machineTable } from '../../bench/report/result-tables.ts'
import { markdownSummary } from '../../bench/report/summary.ts'
import type { PlannedScenario } from '../../bench/suites.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-closed-loop-'))
const processes = new Processes(directory)
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})
afterAll(async () => {
  await processes.stopAll()
  rmSync(directory, { recursive: true, force: true })
})

interface Counted {
  readonly port: number
  connections: number
  requests: number
}

async function serve(answer: RequestListener, tls = false): Promise<Counted> {
  const certificate = tls ? makeCertificate(directory) : undefined
  const server = certificate
    ? createTlsServer({ cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) })
    : createServer()
  servers.push(server)
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve))
  const counted = { port: (server.address() as AddressInfo).port, connections: 0, requests: 0 }
  server.on('connection', () => counted.connections++)
  server.on('request', (incoming, response) => {
    counted.requests++
    answer(incoming, response)
  })
  return counted
}

const isInstalled = (tool: LoadTool): boolean => tool === 'autocannon' || closedLoop().tool === 'wrk'

describe.each(['autocannon', 'wrk'] as const)('%s', (tool) => {
  const load = (url: string, options: Partial<WrkOptions> = {}): Promise<WrkResult> =>
    closedLoop(tool).run(processes, {
      ...{ url, seconds: 1, connections: 8, cores: '1', upload: false, ...options },
    })
  const here = test.skipIf(!isInstalled(tool))

  here('counts what the server answered, over kept connections', async () => {
    const server = await serve((_, response) => void response.end('fine'))
    const result = await load(`http://127.0.0.1:${server.port}/`)
    expect(result.errors).toBe(0)
    expect(result.requests).toBeGreaterThan(10)
    // Those on their way at the end were answered, but not seen.
    expect(server.requests - result.requests).toBeGreaterThanOrEqual(0)
    expect(server.requests - result.requests).toBeLessThanOrEqual(8)
    expect(server.connections).toBeGreaterThanOrEqual(8)
    // wrk tries the address with one of its own.
    expect(server.connections).toBeLessThanOrEqual(9)
    expect(result.seconds).toBeGreaterThan(0.9)
    expect(result.latency.p50).toBeGreaterThan(0)
    expect(result.latency.p99).toBeGreaterThanOrEqual(result.latency.p50)
    expect(result.latency.max).toBeGreaterThanOrEqual(result.latency.p99)
  })

  here('opens a connection for each request when they are not kept', async () => {
    const server = await serve((_, response) => void response.end('fine'))
    const result = await load(`http://127.0.0.1:${server.port}/`, { keepAlive: false })
    expect(result.errors).toBe(0)
    expect(result.requests).toBeGreaterThan(10)
    expect(server.requests - result.requests).toBeLessThanOrEqual(8)
    expect(server.connections).toBeGreaterThanOrEqual(server.requests)
  })

  here('speaks TLS', async () => {
    const server = await serve((_, response) => void response.end('fine'), true)
    const result = await load(`https://127.0.0.1:${server.port}/`)
    expect(result.errors).toBe(0)
    expect(result.requests).toBeGreaterThan(10)
  })

  here('sends uploads', async () => {
    let received = 0
    const server = await serve((incoming, response) => {
      incoming.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      incoming.on('end', () => response.end('fine'))
    })
    const result = await load(`http://127.0.0.1:${server.port}/`, { upload: true })
    expect(result.errors).toBe(0)
    expect(result.requests).toBeGreaterThan(2)
    expect(received).toBeGreaterThanOrEqual(result.requests * 2 ** 20)
  })

  here(
    'sends fields with every request, and counts answers of another status than was expected',
    async () => {
      const server = await serve((incoming, response) => {
        const right = incoming.headers['x-tenant'] === 'acme' && incoming.headers.accept === 'a: b'
        response.writeHead(right ? 401 : 200).end('fine')
      })
      const url = `http://127.0.0.1:${server.port}/`
      const headers = { 'x-tenant': 'acme', accept: 'a: b' }
      const [expected, other, bare, usual] = await Promise.all([
        load(url, { headers, expect: 401 }),
        load(url, { headers, expect: 403 }),
        load(url, { expect: 401 }),
        load(url, { headers }),
      ])
      expect(expected.errors).toBe(0)
      expect(expected.requests).toBeGreaterThan(10)
      expect(other.errors).toBeGreaterThanOrEqual(other.requests)
      expect(bare.errors).toBeGreaterThan(10)
      expect(usual.errors).toBeGreaterThan(10)
    },
  )

  here(
    'says that there were errors: answers that are no success, that never come, that break off',
    async () => {
      const answers: RequestListener[] = [
        (_, response) => response.writeHead(500).end(),
        (incoming) => incoming.socket.end(),
        (incoming, response) => {
          response.writeHead(200, { 'content-length': 10 }).write('half')
          incoming.socket.end()
        },
      ]
      const loads = answers.map(async (answer) => {
        const { port } = await serve(answer)
        return load(`http://127.0.0.1:${port}/`, { connections: 2 })
      })
      const errors = (await Promise.all(loads)).map((result) => result.errors)
      expect(errors.filter((count) => count > 0)).toHaveLength(answers.length)
    },
  )
})

describe('the load generator', () => {
  test('is named with its version', () => {
    expect(closedLoop('autocannon').tool).toBe('autocannon')
    expect(closedLoop('autocannon').version).toMatch(/^9\./)
  })

  test('is autocannon where wrk is not installed', () => {
    vi.stubEnv('PATH', directory)
    try {
      expect(closedLoop().tool).toBe('autocannon')
      expect(() => closedLoop('wrk')).toThrow('--load: wrk is not installed')
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('that there is not is named', () => {
    expect(() => closedLoop('ab')).toThrow('--load: wrk or autocannon expected, not "ab"')
  })
})

test('a suite with autocannon gives whole results, and the report says so', async () => {
  const scenario: PlannedScenario = {
    ...{ name: 'small', title: 'Small', load: 'closed', connections: 8, ratePerSecond: undefined },
    ...{ path: '/64', backendDelayMs: 1 },
  }
  const said: string[] = []
  const results = await runSuite({
    suite: {
      ...{ name: 'tiny', title: 'Tiny', arms: ['direct', 'core'], rounds: 1, seconds: 1 },
      ...{ firstWarmupSeconds: 1, warmupSeconds: 1, openWarmupSeconds: 1, restartEvery: 2 },
      scenarios: [
        scenario,
        { ...scenario, name: 'close', title: 'Fresh', shape: { keepAlive: false, delaySigma: 0.5 } },
        { ...scenario, name: 'tls', title: 'With TLS', shape: { tls: true, bodyBytes: 1024 } },
      ],
    },
    ...{ seed: 1, confidence: 0.99, load: 'autocannon', signal: new AbortController().signal },
    say: (text) => said.push(text),
  })
  expect(results.blocks.flatMap((block) => block.faults)).toEqual([])
  expect(results.blocks.map(({ scenario: name, arm, round }) => `${name} ${arm} ${round}`).sort()).toEqual([
    ...['close core 1', 'close direct 1', 'small core 1', 'small direct 1', 'tls core 1'],
  ])
  for (const { requests, values } of results.blocks) {
    expect(requests).toBeGreaterThan(10)
    expect(values.cpu).toBeGreaterThan(0)
    expect(values.throughput).toBeGreaterThan(10)
    // Eight clients whose backend takes a millisecond each time cannot see more than about 8,000.
    expect(values.throughput).toBeLessThan(12_000)
  }
  expect(results.loadGenerator).toMatch(/^autocannon 9\./)
  expect(results.notes).toContain('With TLS: without direct, which cannot do it (TLS towards the client)')
  expect(results.notes.join()).toContain('autocannon, which needs more CPU')
  expect(machineTable(results).rows.map(({ cells }) => cells)).toContainEqual([
    'Load of closed loops',
    results.loadGenerator,
  ])
  const summary = markdownSummary(results)
  expect(summary).toContain('8 connections, a new one for each request')
  expect(summary).toContain('8 connections, TLS')
})
