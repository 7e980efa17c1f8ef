/** The threads with the data plane that ships: what a client sees of reloads, deaths and drains. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Lb, startLb } from '../harness/lb.ts'
import { until } from '../harness/until.ts'

interface Backend {
  readonly url: string
  readonly server: Server
  readonly ports: Set<number>
  held: (() => void)[]
}

async function backend(name: string): Promise<Backend> {
  const found: Backend = { url: '', server: createServer(), ports: new Set(), held: [] }
  found.server.on('request', (message, answer) => {
    found.ports.add(message.socket.remotePort ?? 0)
    const end = (): void => void answer.end(name)
    if (message.url === '/hold') found.held.push(end)
    else if (message.url === '/health') answer.writeHead(found.held.length > 100 ? 503 : 200).end()
    else end()
  })
  found.server.listen(0, '127.0.0.1')
  await once(found.server, 'listening')
  onTestFinished(() => {
    found.server.closeAllConnections()
    found.server.close()
  })
  return Object.assign(found, { url: `http://127.0.0.1:${(found.server.address() as AddressInfo).port}` })
}

const config = (backends: readonly unknown[], more: object = {}, threads = 1) => ({
  node: { threads },
  admin: { address: '127.0.0.1:0' },
  drain: { delay: '0s', timeout: '5s' },
  listeners: { web: { address: '127.0.0.1:0' } },
  routes: [{ service: 'app' }],
  services: { app: { backends: backends as string[], ...more } },
})

async function get(port: number, path = '/', dispatcher?: Agent): Promise<{ status: number; body: string }> {
  const response = await request(`http://127.0.0.1:${port}${path}`, { dispatcher })
  return { status: response.statusCode, body: await response.body.text() }
}

const adminUrl = (lb: Lb, path: string): string => `http://127.0.0.1:${lb.server.admin?.port}${path}`

async function admin(lb: Lb, path: string): Promise<string> {
  return (await request(adminUrl(lb, path))).body.text()
}

function agent(): Agent {
  const made = new Agent({ connections: 1 })
  onTestFinished(() => made.destroy())
  return made
}

describe('reload', () => {
  test('an edited weight keeps the upstream connection; a removed backend gets nothing more', async () => {
    const [a, b] = [await backend('a'), await backend('b')]
    const lb = await startLb(config([a.url]))
    const dispatcher = agent()
    await get(lb.port, '/', dispatcher)
    await lb.apply(config([{ url: a.url, weight: 3 }, b.url]))
    for (let i = 0; i < 8; i++) await get(lb.port, '/', dispatcher)
    expect(a.ports.size).toBe(1)
    expect(b.ports.size).toBe(1)
    await lb.apply(config([b.url]))
    for (let i = 0; i < 4; i++) expect((await get(lb.port, '/', dispatcher)).body).toBe('b')
  })

  test('an exchange in flight ends on the backend it began on, and only then is its slot free', async () => {
    const [a, b] = [await backend('a'), await backend('b')]
    const lb = await startLb(config([a.url]))
    const held = get(lb.port, '/hold', agent())
    await until('it is held', () => a.held.length === 1)
    await lb.apply(config([b.url]))
    expect((await get(lb.port, '/')).body).toBe('b')
    expect(lb.server.usage.waiting).toBe(1)
    a.held[0]()
    expect((await held).body).toBe('a')
    await until('the slot is free', () => lb.server.usage.waiting === 0)
  })

  test('fifty reloads under load fail no request and leave nothing behind', async () => {
    const [a, b] = [await backend('a'), await backend('b')]
    const lb = await startLb(config([a.url], {}, 2))
    let stop = false
    const statuses = new Map<number, number>()
    const load = Array.from({ length: 4 }, async () => {
      const dispatcher = agent()
      while (!stop) {
        const { status } = await get(lb.port, '/', dispatcher)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    })
    const both = [
      config([a.url], {}, 2),
      config([b.url, { url: a.url, weight: 2 }], { algorithm: 'maglev' }, 2),
      config([b.url], {}, 2),
    ]
    for (let round = 0; round < 50; round++) await lb.apply(both[(round + 1) % 3])
    stop = true
    await Promise.all(load)
    expect([...statuses.keys()]).toEqual([200])
    await until('old slots are free', () => lb.server.usage.waiting === 0)
    expect(lb.server.usage.slots).toBeLessThanOrEqual(2)
  })
})

test('a thread that dies loses its own connections only; new ones are served throughout', async () => {
  const a = await backend('a')
  const lb = await startLb(config([a.url], {}, 2))
  await lb.server.killThread(0)
  let served = 0
  await until('both serve again', () => lb.server.threads.every(({ status }) => status === 'serving'))
  for (let i = 0; i < 20; i++) served += Number((await get(lb.port, '/', agent())).status === 200)
  expect(served).toBe(20)
})

test('the admin listener tells of services, threads and readiness', async () => {
  const a = await backend('a')
  const lb = await startLb(config([a.url]))
  await get(lb.port, '/')
  expect(await admin(lb, '/readyz?verbose')).toMatch(
    /\[\+\]config: revision 1\n\[\+\]threads: 1 of 1 serving/,
  )
  const state = JSON.parse(await admin(lb, '/v1/services')) as {
    services: { backends: { attempts: { success: number } }[] }[]
  }
  expect(state.services[0].backends[0].attempts.success).toBe(1)
  expect(await admin(lb, '/metrics')).toMatch(/millrace_config_revision 1\n/)
})

test('a health source takes a backend out and brings it back', async () => {
  const [a, b] = [await backend('a'), await backend('b')]
  const health = { use: 'http-probe', path: '/health', interval: '50ms', timeout: '1s', rise: 1, fall: 1 }
  const lb = await startLb(config([a.url, b.url], { health, breaker: false, retries: { attempts: 0 } }))
  const status = (): string[] => lb.server.services()[0].backends.map(({ health }) => health)
  await until('both are up', () => status().every((one) => one === 'up'))
  b.held = Array.from({ length: 101 }, () => () => {})
  await until('b is down', () => status()[1] === 'down')
  for (let i = 0; i < 6; i++) expect((await get(lb.port, '/')).body).toBe('a')
  b.held = []
  await until('b is up', () => status()[1] === 'up')
})

test('drain: what is in flight ends, and says that the connection closes', async () => {
  const a = await backend('a')
  const lb = await startLb({ ...config([a.url]), drain: { delay: '60s', timeout: '10s' } })
  const held = request(`http://127.0.0.1:${lb.port}/hold`, { dispatcher: agent() })
  await until('it is held', () => a.held.length === 1)
  const drained = lb.server.drain()
  const during = await request(`http://127.0.0.1:${lb.port}/`, { dispatcher: agent() })
  expect(during.headers.connection).toBe('close')
  expect((await request(adminUrl(lb, '/readyz'))).statusCode).toBe(503)
  void lb.server.drain({ skipDelay: true })
  await until('new connections are refused', () =>
    lb.log.some(({ message }) => message.includes('listeners close')),
  )
  a.held[0]()
  const answer = await held
  expect(answer.statusCode).toBe(200)
  expect(await answer.body.text()).toBe('a')
  expect(await drained).toBe(true)
})

test('drain under load: no request that was sent during the delay is lost', async () => {
  const a = await backend('a')
  const lb = await startLb({ ...config([a.url], {}, 2), drain: { delay: '300ms', timeout: '10s' } })
  let draining = false
  const answered: number[] = []
  let failed = 0
  // As a balancer in front does: it learns from `/readyz` that it must stop.
  const load = Array.from({ length: 8 }, async (_, client) => {
    const dispatcher = client % 2 === 0 ? agent() : undefined
    while (!draining || answered.length === 0) {
      const dispatched = dispatcher ?? new Agent({ connections: 1 })
      const status = await get(lb.port, '/', dispatched)
        .then((answer) => answer.status)
        .catch(() => void failed++)
      if (dispatched !== dispatcher) await dispatched.destroy()
      if (status) answered.push(status)
    }
  })
  await until('there is load', () => answered.length > 50)
  const drained = lb.server.drain()
  const before = answered.length
  await until('it goes on during the delay', () => answered.length > before + 50)
  draining = true
  await Promise.all(load)
  expect(await drained).toBe(true)
  expect(failed).toBe(0)
  expect(new Set(answered)).toEqual(new Set([200]))
})

test('the access log gets a line for each exchange; a path that cannot be written is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'access.log')
  const a = await backend('a')
  const lb = await startLb({ ...config([a.url], {}, 2), accessLog: { path } })
  for (let i = 0; i < 5; i++) await get(lb.port, `/${i}`, agent())
  const refused = lb.apply({ ...config([a.url]), accessLog: { path: join(folder, 'none', 'access.log') } })
  await expect(refused).rejects.toThrow(/MR_CONFIG_FILE/)
  await get(lb.port, '/5', agent())
  await lb.server.drain()
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  const targets = lines.map((line) => (JSON.parse(line) as { target: string }).target)
  expect(targets.toSorted()).toEqual(['/0', '/1', '/2', '/3', '/4', '/5'])
})
