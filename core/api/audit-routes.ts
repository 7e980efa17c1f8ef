/** Writes down what every request has changed, or tried to, before it is answered; and shows it. */
import type { FastifyInstance } from 'fastify'
import type { RawClock } from '../host/clock.ts'
import type { Audit } from './audit.ts'
import { numberOf } from './request.ts'
import { answers, digits } from './schemas.ts'

const usual = 100
/** Of a URL as it was called. */
const longestUrl = 500

export function auditing(app: FastifyInstance, audit: Audit, clock: Pick<RawClock, 'wall'>): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const { actor, method, changed } = request
    // Without a token nothing was tried that could have worked: the log tells of it, and its rate is limited.
    if (actor === undefined || method === 'GET' || method === 'HEAD') return payload
    await audit.append({
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
    })
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
        properties: { limit: digits('So many; default 100', 4) },
      },
      response: answers({
        200: {
          description: 'Records; all of them are in node.data/audit.jsonl',
          type: 'object',
          required: ['records'],
          properties: { records: { type: 'array', items: { type: 'object', additionalProperties: true } } },
        },
      }),
    },
    async handler({ query }) {
      return { records: audit.list(numberOf(query.limit) ?? usual) }
    },
  })
}
