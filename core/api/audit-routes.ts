/** Writes down what every request has changed, or tried to, before it is answered; and shows it. */
import type { FastifyInstance } from 'fastify'
import type { RawClock } from '../host/clock.ts'
import type { Audit, AuditRecord } from './audit.ts'
import { numberOf } from './request.ts'
import { answers, digits } from './schemas.ts'

const usual = 100
/** Of a URL as it was called. */
const longestUrl = 500
const list = { type: 'array', items: { type: 'object', additionalProperties: true } } as const

export function auditing(app: FastifyInstance, audit: Audit, clock: Pick<RawClock, 'wall'>): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const { actor, method, changed } = request
    // Without a token nothing was tried that could have worked: the log tells of it, and its rate is limited.
    if (actor === undefined || method === 'GET' || method === 'HEAD') return payload
    const record: AuditRecord = {
      at: new Date(clock.wall()).toISOString(),
      request: request.id,
      actor: actor.name,
      role: actor.role,
      from: request.ip,
      route: `${method} ${request.routeOptions.url ?? 'unknown'}`,
      url: request.url.slice(0, longestUrl),
      status: reply.statusCode,
      code: request.refusal,
      ...changed,
    }
    // What has failed here may yet have reached the store; not of those who may change nothing at all.
    const mayHaveChanged = reply.statusCode >= 500 && actor.role !== 'read'
    if (changed !== undefined || mayHaveChanged) await audit.append(record)
    else audit.refused(record)
    return payload
  })
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
