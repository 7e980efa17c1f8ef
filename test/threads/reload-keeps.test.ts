/** What a reload leaves alone, with the data plane that ships: cursors, connections, health and breakers. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { request } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BackendState } from '../../core/observe/service-state.ts'
import { type Lb, startLb } from '../harness/lb.ts'
import { until } from '../harness/until.ts'

/** A backend that answers with its name, and with the given status. */
async function backend(name: string, status = 200): Promise<string> {
  const server = createServer((_message, answer) => void answer.writeHead(status).end(name))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const opens = { use: 'error-rate', minRequests: 2, threshold: '50%', open: '60s' }

const config = (app: Record<string, unknown>, other = 1) => ({
  node: { threads: 1 },
  listeners: { web: { address: '127.0.0.1:0' } },
  routes: [{ service: 'app' }, { match: { path: '/other' }, service: 'other' }],
  services: {
    app: { retries: { attempts: 0 }, ...app },
    other: { backends: [{ url: 'http://127.0.0.1:9', weight: other }] },
  },
})

async function get(lb: Lb): Promise<string> {
  return (await request(`http://127.0.0.1:${lb.port}/`)).body.text()
}

function stateOf(lb: Lb, url: string): BackendState {
  const app = lb.server.services().find(({ name }) => name === 'app')
  const found = app?.backends.find((one) => one.url === url)
  if (found === undefined) throw new Error(`no backend ${url}`)
  return found
}

async function tripped(backends: readonly string[], bad: string): Promise<Lb> {
  const lb = await startLb(config({ backends, breaker: opens }) as never)
  for (let i = 0; i < 20 && stateOf(lb, bad).breaker !== 'open'; i++) await get(lb)
  expect(stateOf(lb, bad).breaker).toBe('open')
  return lb
}

describe('a reload', () => {
  test('of another service: cursor, connections and an open breaker stay', async () => {
    const [a, b, bad] = [await backend('a'), await backend('b'), await backend('bad', 500)]
    const app = { backends: [a, b, bad], breaker: opens }
    const lb = await tripped(app.backends, bad)
    const opened = stateOf(lb, a).connections.opened
    let last = await get(lb)
    for (let other = 2; other < 12; other++) {
      await lb.apply(config(app, other) as never)
      const next = await get(lb)
      // Round robin over the two that are left: never the same one twice, whatever was reloaded between.
      expect([last, next].sort()).toEqual(['a', 'b'])
      last = next
    }
    expect(stateOf(lb, a).connections.opened).toBe(opened)
    expect(stateOf(lb, bad).breaker).toBe('open')
  })

  test('of the settings of an open breaker, and of a weight, does not close it', async () => {
    const [good, bad] = [await backend('good'), await backend('bad', 500)]
    const lb = await tripped([good, bad], bad)
    const settings = { ...opens, window: '20s', minRequests: 50 }
    await lb.apply(config({ backends: [good, bad], breaker: settings }) as never)
    expect(stateOf(lb, bad).breaker).toBe('open')
    await lb.apply(config({ backends: [good, { url: bad, weight: 7 }], breaker: settings }) as never)
    expect(stateOf(lb, bad).breaker).toBe('open')
    for (let i = 0; i < 6; i++) expect(await get(lb)).toBe('good')
  })

  test('that takes the breaker, or the backend, away and brings it back begins anew', async () => {
    const [good, bad] = [await backend('good'), await backend('bad', 500)]
    const lb = await tripped([good, bad], bad)
    await lb.apply(config({ backends: [good, bad], breaker: false }) as never)
    expect(stateOf(lb, bad).breaker).toBe('closed')
    const answers = new Set([await get(lb), await get(lb)])
    expect(answers).toEqual(new Set(['good', 'bad']))
    await lb.apply(config({ backends: [good], breaker: opens }) as never)
    await lb.apply(config({ backends: [good, bad], breaker: opens }) as never)
    expect(stateOf(lb, bad).breaker).toBe('closed')
  })

  test('keeps what probes have found out', async () => {
    const [good, sick] = [await backend('good'), await backend('sick', 503)]
    const health = { use: 'http-probe', interval: '20ms', fall: 1 }
    const app = { backends: [good, sick], breaker: false, health }
    const lb = await startLb(config(app) as never)
    await until('it is down', () => stateOf(lb, sick).health === 'down')
    // With an hour between probes nobody asks again: what is known was kept.
    await lb.apply(config({ ...app, health: { ...health, interval: '1h' } }, 2) as never)
    expect(stateOf(lb, sick).health).toBe('down')
    for (let i = 0; i < 4; i++) expect(await get(lb)).toBe('good')
  })
})
