/** Writes down what every request has changed, or tried to, before it is answered; and shows it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { RawClock } from '../host/clock.ts'
import type { Audit, AuditRecord } from './audit.ts'
import { actorOf, numberOf } from './request.ts'
import { answers, digits } from './schemas.ts'

const usual = 100
/** Of a URL as it was called. */
const longestUrl = 500
const list = { type: 'array', items: { type: 'object', additionalProperties: true } } as const

/** @returns waits until what is being changed now stands in the log, also where its client has gone */
export function auditing(
  app: FastifyInstance,
  audit: Audit,
  clock: Pick<RawClock, 'wall'>,
): () => Promise<void> {
  const underWay = new Map<string, PromiseWithResolvers<void>>()
  app.addHook('preHandler', async (request) => {
    if (mayChange(request)) underWay.set(request.id, Promise.withResolvers())
  })
  app.addHook('onSend', async (request, reply, payload) => {
    if (mayChange(request)) await note(audit, clock, request, reply.statusCode)
    underWay.get(request.id)?.resolve()
    underWay.delete(request.id)
    return payload
  })
  return async () => {
    await Promise.all([...underWay.values()].map(({ promise }) => promise))
  }
}

/** Without a token nothing was tried that could have worked: the log tells of it, and its rate is limited. */
const mayChange = ({ actor, method }: FastifyRequest): boolean =>
  actor !== undefined && method !== 'GET' && method !== 'HEAD'

async function note(
  audit: Audit,
  clock: Pick<RawClock, 'wall'>,
  request: FastifyRequest,
  status: number,
): Promise<void> {
  const { name, role } = actorOf(request)
  const { changed, method } = request
  const record: AuditRecord = {
    at: new Date(clock.wall()).toISOString(),
    request: request.id,
    actor: name,
    role,
    from: request.ip,
    route: `${method} ${request.routeOptions.url ?? 'unknown'}`,
    url: request.url.slice(0, longestUrl),
    status,
    code: request.refusal,
    ...changed,
  }
  // What has failed here may yet have reached the store; not of those who may change nothing at all.
  const mayHaveChanged = status >= 500 && role !== 'read'
  if (changed !== undefined || mayHaveChanged) await audit.append(record)
  else audit.refused(record)
}

export function auditRoutes(app: FastifyInstance, audit: Audit): void {
  app.get<{ Querystring: { limit?: string } }>('/v1/audit', {
    config: { role: 'admin' },
    schema: {
      summary: 'Who has changed what through this API, or tried to; the newest first',
      tags: ['audit'],
      querystring: {
        type: 'object',
        additionalProperties: false,
        properties: { limit: digits('So many of each; default 100', 4) },
      },
      response: answers({
        200: {
          description:
            'Changes; what was refused, one record in 10 s of a token and route. All are in node.data: audit.jsonl, audit-refused.jsonl',
          type: 'object',
          required: ['records', 'refused'],
          properties: { records: list, refused: list },
        },
      }),
    },
    async handler({ query }) {
      const limit = numberOf(query.limit) ?? usual
      return { records: audit.list(limit), refused: audit.listRefused(limit) }
    },
  })
}
