/** The switch of breakers on the admin listener. It asks nobody who they are, so it works only where this machine alone gets to. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { decisionFields } from '../config/overrides.ts'
import { MillraceError } from '../host/errors.ts'

/** What is asked for: as the `overrides` document has it. */
export interface BreakerDecision {
  readonly service: string
  readonly backend?: string | undefined
  readonly mode: 'auto' | 'open' | 'closed'
  readonly reason: string
  readonly actor: string
  readonly until?: string | undefined
  /** Instead of `until`: from now on. */
  readonly lastsMs?: number | undefined
}

export interface OverridesDesk {
  readonly document: object
  set(decision: BreakerDecision): Promise<object>
  clear(target: { service: string; backend?: string | undefined }): Promise<object>
}

const decisionSchema = z
  .strictObject({
    ...decisionFields,
    mode: z.enum(['auto', 'open', 'closed']),
    backend: z.string().optional(),
    actor: z.string().max(200).default('admin'),
  })
  .refine((body) => body.until === undefined || body.for === undefined, {
    error: 'until or for, not both',
    path: ['for'],
  })

interface Target {
  Params: { service: string }
  Querystring: { backend?: string }
}

export function breakerRoutes(app: FastifyInstance, desk: OverridesDesk): void {
  app.get('/v1/overrides', (_request, reply) => answer(reply, desk.document))
  const path = '/v1/services/:service/breaker'
  app.put<Target>(path, { preHandler: guard }, async (request, reply) => {
    const parsed = decisionSchema.safeParse(request.body)
    if (!parsed.success) {
      const problems = parsed.error.issues.map((issue) => ({
        path: issue.path.join('.'),
        message: issue.message,
      }))
      return reply.code(400).send({ error: 'MR_OVERRIDE', message: 'the decision is not valid', problems })
    }
    const { for: lastsMs, ...rest } = parsed.data
    return tell(reply, () => desk.set({ ...rest, service: request.params.service, lastsMs }))
  })
  app.delete<Target>(path, { preHandler: guard }, (request, reply) => {
    const { backend } = request.query
    return tell(reply, () => desk.clear({ service: request.params.service, backend }))
  })
}

const loopback = /^(?:127\.\d+\.\d+\.\d+|\[?::1\]?|::ffff:127\.\d+\.\d+\.\d+)$/

/** Another machine, or a page in a browser of this one (CSRF, DNS rebinding), must not decide. */
async function guard(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { localAddress = '' } = request.socket
  if (!loopback.test(localAddress)) {
    const message = `the admin listener can be reached at ${localAddress}: decisions are taken on loopback only`
    return reply.code(403).send({ error: 'forbidden', message })
  }
  const name = request.headers.host?.replace(/:\d+$/, '') ?? ''
  if (name !== 'localhost' && !loopback.test(name)) {
    const message = `Host is ${JSON.stringify(name)}: expected localhost or a loopback address`
    return reply.code(403).send({ error: 'forbidden', message })
  }
  if (request.headers.origin !== undefined)
    return reply.code(403).send({ error: 'forbidden', message: 'pages of a browser cannot decide' })
  return undefined
}

async function tell(reply: FastifyReply, work: () => Promise<object>): Promise<FastifyReply> {
  try {
    return answer(reply, await work())
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return reply.code(statusOf(error)).send({ error: error.code, message: error.message })
  }
}

function statusOf({ code }: MillraceError): number {
  if (code === 'MR_SERVICE_UNKNOWN') return 404
  if (code === 'MR_CONFLICT') return 409
  return code.startsWith('MR_STORE') ? 503 : 400
}

function answer(reply: FastifyReply, body: object): FastifyReply {
  return reply.header('cache-control', 'no-store').send(body)
}
