/** What the tests of http-probe share: a source on fake time, and real servers to probe. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { BackendTls, HealthSource, HealthTarget } from 'millrace'
import { onTestFinished } from 'vitest'
import { until } from '../../harness/until.ts'
import { type FakeHealthHost, FakeTime, healthHost } from '../fake-context.ts'
import { builtin, parsed } from '../make.ts'

export interface Setup extends FakeHealthHost {
  readonly time: FakeTime
  readonly source: HealthSource
  /** Moves time by one interval and waits for that many more results. */
  round(results?: number): Promise<void>
}

export async function start(
  options: unknown,
  urls: readonly string[] = [],
  tls?: BackendTls,
): Promise<Setup> {
  const time = new FakeTime()
  const host = healthHost({ clock: time.clock(), intervalMs: 1000, timeoutMs: 500 })
  onTestFinished(() => host.stop())
  const plugin = builtin('health-source', 'http-probe')
  const source = await plugin.create(host.context, parsed(plugin, options) as never)
  source.update(urls.map((url) => target(url, tls)))
  const round = async (results = 1): Promise<void> => {
    const before = host.reports.length
    time.advance(1000)
    await until(`${results} more results`, () => host.reports.length >= before + results)
  }
  return { ...host, time, source, round }
}

export function target(url: string, tls?: BackendTls): HealthTarget {
  return { id: `api/${url}`, service: 'api', url, weight: 1, zone: '', tags: [], tls }
}

export const answering =
  (status: number): RequestListener =>
  (_request, response) =>
    void response.writeHead(status).end('body')

export async function listen(
  server: Server,
  where: object = { port: 0, host: '127.0.0.1' },
): Promise<number> {
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  server.listen(where)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

export interface Backend {
  readonly url: string
  readonly port: number
  readonly requests: IncomingMessage[]
  readonly sockets: Set<Socket>
}

export async function backend(handler: RequestListener = answering(200)): Promise<Backend> {
  const requests: IncomingMessage[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    requests.push(request)
    handler(request, response)
  })
  server.on('connection', (socket) => sockets.add(socket))
  const port = await listen(server)
  return { url: `http://127.0.0.1:${port}`, port, requests, sockets }
}
