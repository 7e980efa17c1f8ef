/** The admin listener: is the process alive, is it ready, what does it measure, how are its backends. On the main thread,
 * which carries no traffic, so that it answers when the proxy is busy. */
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { listenError } from '../host/listen-error.ts'
import { breakerRoutes, type OverridesDesk } from './breaker-routes.ts'
import type { ServiceState } from './service-state.ts'

/** One part of the process that must be ready for traffic. */
export interface ReadinessPart {
  readonly name: string
  readonly ready: boolean
  /** Ready, and yet something is wrong that a person should look at. */
  readonly degraded?: boolean
  /** What is missing, or what is there. */
  readonly detail?: string
}

export interface AdminDeps {
  readiness(): readonly ReadinessPart[]
  services(): readonly ServiceState[]
  /** Of the snapshot that is served. */
  revision(): number
  metricsText(): Promise<string>
  /** What operators decide about breakers. */
  readonly overrides: OverridesDesk
}

export interface AdminListener {
  readonly address: string
  readonly port: number
  /** Stops at once; requests under way are cut off. Idempotent. */
  close(): Promise<void>
}

const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Opens the admin listener.
 * @param at `port` 0: any free one
 * @throws MR_LISTEN when the address cannot be bound
 */
export async function startAdmin(
  at: { readonly host: string; readonly port: number },
  deps: AdminDeps,
): Promise<AdminListener> {
  const refused = (cause: Error) => listenError('admin', { ...at, socketPath: '' }, 'admin', cause)
  const app = fastify({ forceCloseConnections: true, exposeHeadRoutes: true })
  routes(app, deps)
  try {
    await app.listen({ host: at.host, port: at.port })
  } catch (cause) {
    await app.close()
    throw refused(cause as Error)
  }
  const bound = app.server.address()
  // Not a unix socket: `listen` was given a port.
  if (bound === null || typeof bound === 'string') throw refused(new Error('no address was bound'))
  return { address: bound.address, port: bound.port, close: () => app.close() }
}

function routes(app: FastifyInstance, deps: AdminDeps): void {
  app.get('/livez', (_request, reply) => text(reply, 200, 'ok\n'))
  app.get<{ Querystring: Record<string, string | undefined> }>('/readyz', (request, reply) => {
    const parts = deps.readiness()
    const ready = parts.every((part) => part.ready)
    const verbose = request.query.verbose !== undefined
    return text(reply, ready ? 200 : 503, verbose ? verboseReadiness(parts) : shortReadiness(parts))
  })
  app.get('/metrics', async (_request, reply) => {
    const body = await deps.metricsText()
    return reply.header('content-type', metricsType).header('cache-control', 'no-store').send(body)
  })
  app.get('/v1/services', (_request, reply) => {
    return reply
      .header('cache-control', 'no-store')
      .send({ revision: deps.revision(), services: deps.services() })
  })
  breakerRoutes(app, deps.overrides)
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      error: 'not_found',
      message: `${request.method} ${request.url} is not known`,
      known: ['/livez', '/readyz?verbose', '/metrics', '/v1/services', '/v1/overrides'],
    }),
  )
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({ error: 'internal', message: error.message }),
  )
}

function text(reply: FastifyReply, status: number, body: string): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'text/plain; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(body)
}

function shortReadiness(parts: readonly ReadinessPart[]): string {
  const missing = parts.filter((part) => !part.ready).map((part) => part.name)
  return missing.length === 0 ? 'ok\n' : `not ready: ${missing.join(', ')}\n`
}

/** `[+]name: detail` for what is ready, `[!]` where it is not well, `[-]` for what is not ready, and a verdict. */
function verboseReadiness(parts: readonly ReadinessPart[]): string {
  const lines = parts.map(
    ({ name, ready, degraded, detail }) =>
      `[${ready ? (degraded ? '!' : '+') : '-'}]${name}: ${detail ?? (ready ? 'ok' : 'not ready')}`,
  )
  const verdict = parts.every((part) => part.ready) ? 'ready' : 'not ready'
  return [...lines, verdict, ''].join('\n')
}
