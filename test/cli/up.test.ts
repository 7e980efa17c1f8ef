import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/until.ts'
import { folderWith, type Running, startCli } from './run-cli.ts'

async function startDemo(...args: string[]) {
  const running = startCli(['up', '--port', '0', ...args])
  await running.waitFor(/Ctrl-C ends/)
  const { out } = running.text
  const url = /proxy +(http:\S+)/.exec(out)?.[1] ?? ''
  const admin = /admin +(http:\S+)/.exec(out)?.[1] ?? ''
  const pids = [...out.matchAll(/backend \d +http\S+ +pid (\d+)/g)].map(([, pid]) => Number(pid))
  return { running, url, admin, pids }
}

const get = async (url: string): Promise<string> => {
  const response = await fetch(url)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`)
  return text
}

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function ending(running: Running, signal: NodeJS.Signals): Promise<number | undefined> {
  running.child.kill(signal)
  return (await running.ended).status
}

/** A backend in this process. @param asked answers when it is called; absent: at once */
async function backendSaying(word: string, asked?: (answer: () => void) => void): Promise<string> {
  const server = http.createServer((_request, response) => {
    const answer = (): void => void response.end(word)
    if (asked === undefined) answer()
    else asked(answer)
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
}

describe('demo', () => {
  test('prints where to look, answers from each backend, and ends at Ctrl-C with its backends', async () => {
    const { running, url, admin, pids } = await startDemo()
    expect(pids).toHaveLength(3)
    const answers = new Set<string>()
    for (let tries = 0; tries < 30; tries++) answers.add(await get(url))
    expect([...answers].sort()).toEqual(
      pids.map((pid, i) => `Hello from backend ${i + 1} (pid ${pid}): GET /\n`),
    )
    expect(await get(`${admin}/readyz?verbose`)).toMatch(/\S/)
    expect(await get(`${admin}/metrics`)).toContain('millrace_requests')
    const startedAt = performance.now()
    expect(await ending(running, 'SIGINT')).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(5000)
    await until('the backends have ended', () => !pids.some(lives))
  })

  test('runs with what V8 reads only at its start, in the process that was started', async () => {
    const { running } = await startDemo()
    const words = readFileSync(`/proc/${running.child.pid}/cmdline`, 'utf8').split('\0')
    expect(words.slice(1, 3)).toEqual(['--no-memory-protection-keys', '--no-parallel-scavenge'])
    expect(await ending(running, 'SIGINT')).toBe(0)
  })

  test('no GET fails when a backend is killed under load', async () => {
    const { running, url, pids } = await startDemo()
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
    onTestFinished(() => agent.destroy())
    const failed: string[] = []
    const served = new Map<string, number>()
    const request = (): Promise<void> =>
      new Promise((resolve) => {
        const sent = http.get(url, { agent }, (response) => {
          const backend = String(response.headers['x-backend'])
          let body = ''
          response.setEncoding('utf8').on('data', (text) => (body += text))
          response.on('error', (error) => failed.push(error.message))
          response.on('close', () => {
            if (response.statusCode === 200) served.set(backend, (served.get(backend) ?? 0) + 1)
            else failed.push(`status ${response.statusCode}: ${body}`)
            resolve()
          })
        })
        sent.on('error', (error) => {
          failed.push(error.message)
          resolve()
        })
      })
    let done = false
    const client = async (): Promise<void> => {
      while (!done) await request()
    }
    const clients = Array.from({ length: 16 }, client)
    const total = (): number => [...served.values()].reduce((sum, count) => sum + count, 0)
    await until('load flows', () => total() > 500 && served.size === 3)
    process.kill(pids[1], 'SIGKILL')
    await running.waitFor(new RegExp(`backend 2 \\(pid ${pids[1]}\\) is gone: SIGKILL`))
    const before = served.get('2')
    const then = total()
    await until('load has gone on', () => total() > then + 2000, { timeoutMs: 30_000 })
    done = true
    await Promise.all(clients)
    expect(failed).toEqual([])
    expect(served.get('2')).toBe(before)
    expect(served.size).toBe(3)
  })

  test('a busy port is named, with its owner and what to do, and no backend stays behind', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const { status, err } = await startCli(['up', '--port', String(port)]).ended
    expect(status).toBe(1)
    expect(err).toContain(`MR_LISTEN listener web: 127.0.0.1:${port} is in use`)
    expect(err).toContain(`--port ${port + 1}`)
    if (process.platform === 'linux') expect(err).toContain(`in use by pid ${process.pid}`)
  })

  test('its backends end when the load balancer is killed', async () => {
    const { running, pids } = await startDemo()
    await ending(running, 'SIGKILL')
    await until('the backends have ended', () => !pids.some(lives))
  })
})

const configFor = (backend: string, more = ''): string => `
listeners: { web: { address: "127.0.0.1:0" } }
admin: { address: "127.0.0.1:0" }
drain: { delay: 300s, timeout: 30s }
routes: [{ service: shop }]
services: { shop: { backends: ["${backend}"], breaker: off } }
${more}`

async function startWith(verb: 'up' | 'lb', config: string) {
  const folder = folderWith({ 'lb.yaml': config })
  const file = path.join(folder, 'lb.yaml')
  const running = startCli([verb, '-c', file, '--log', 'pretty'])
  const [, url] = await running.waitFor(/[ =](http:\/\/127\.0\.0\.1:\d+\/)/)
  return { running, url, file }
}

describe('a config of one’s own', () => {
  test('a saved file is live; a bad one changes nothing and says why; SIGHUP reads it again', async () => {
    const [one, two] = await Promise.all([backendSaying('one'), backendSaying('two')])
    const { running, url, file } = await startWith('up', configFor(one))
    expect(await get(url)).toBe('one')
    writeFileSync(file, configFor(two))
    await running.waitFor(/reload: applied/)
    expect(await get(url)).toBe('two')
    writeFileSync(file, configFor(one).replace('service: shop', 'service: shpo'))
    await running.waitFor(/old one stays[\s\S]*MR_CONFIG_REFERENCE[\s\S]*did you mean "shop"/)
    expect(await get(url)).toBe('two')
    running.child.kill('SIGHUP')
    await running.waitFor(/reason=SIGHUP/)
    expect(await get(url)).toBe('two')
  })

  test('a changed part that needs a restart is named', async () => {
    const one = await backendSaying('one')
    const { running, file } = await startWith('up', configFor(one))
    writeFileSync(file, configFor(one, 'node: { id: other }'))
    await running.waitFor(/node.* takes effect only after a restart/)
  })

  test('lb: SIGTERM goes on accepting during the delay; a second one ends at once', async () => {
    const one = await backendSaying('one')
    const { running, url } = await startWith('lb', configFor(one))
    running.child.kill('SIGTERM')
    await running.waitFor(/still accepting/)
    const response = await fetch(url)
    expect([response.headers.get('connection'), await response.text()]).toEqual(['close', 'one'])
    expect(await ending(running, 'SIGTERM')).toBe(128 + 15)
  })

  test('lb: what is in flight is finished before it ends, with status 0', async () => {
    const held: (() => void)[] = []
    const one = await backendSaying('one', (answer) => held.push(answer))
    const { running, url } = await startWith('lb', configFor(one).replace('delay: 300s', 'delay: 0s'))
    const pending = get(url)
    await until('the request is in flight', () => held.length === 1)
    running.child.kill('SIGTERM')
    await running.waitFor(/listeners close/)
    held[0]()
    expect(await pending).toBe('one')
    expect((await running.ended).status).toBe(0)
  })
})

test('through npm, one Ctrl-C is one', async () => {
  const root = path.resolve(import.meta.dirname, '../..')
  const child: ChildProcess = spawn('npm', ['start', '--silent', '--', '--port', '0'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const group = -(child.pid ?? 0)
  onTestFinished(() => {
    if (lives(group)) process.kill(group, 'SIGKILL')
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += String(chunk)))
  await until('the demo runs', () => text.includes('Ctrl-C ends'), { timeoutMs: 60_000 })
  const closed = once(child, 'close')
  // As the terminal does: to every process of the group.
  process.kill(group, 'SIGINT')
  await closed
  expect(text).toMatch(/SIGINT: draining[\s\S]*drained\n/)
  expect(text).not.toContain('ending at once')
  await until('nothing is left of it', () => !lives(group))
})
