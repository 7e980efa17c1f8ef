/** Breakers and drains: what operators decide, in the document `overrides`. In force everywhere without a new config. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import {
  decisionFields,
  endOf,
  type OverridesDocument,
  overridesDocument,
  withBreaker,
  withDrain,
  withoutBreakers,
  withoutDrain,
} from '../config/overrides.ts'
import type { StoreOverrides } from '../config/sync/store-overrides.ts'
import type { ConfigStore, Document } from '../contracts/config-store.ts'
import { MillraceError } from '../host/errors.ts'
import { changedAnswerOf, isKnown } from './answers.ts'
import type { ConfigDesk } from './config-desk.ts'
import { ApiError } from './errors.ts'
import { checkExpectation, expectationOf, stale } from './preconditions.ts'
import { type Answering, type Asked, actorOf } from './request.ts'
import { answers, changedAnswer, changeHeaders } from './schemas.ts'
import { backendUrlOf, checkTarget } from './service-edits.ts'
import { backendParams, serviceParams } from './service-routes.ts'

export interface OverrideRouteDeps {
  readonly desk: ConfigDesk
  readonly overrides: StoreOverrides
  readonly store: ConfigStore
  /** Milliseconds since 1970. */
  wall(): number
}

interface DecisionBody {
  readonly reason: string
  readonly until?: string
  readonly for?: string
}
interface BreakerBody extends DecisionBody {
  readonly mode: 'auto' | 'open' | 'closed'
  readonly backend?: string
}

const decisionSchema = z
  .strictObject(decisionFields)
  .refine((body) => body.until === undefined || body.for === undefined, {
    error: 'until or for, not both',
    path: ['for'],
  })

const decisionBody = {
  reason: { type: 'string', minLength: 1, maxLength: 1000, description: 'Why: others will ask' },
  until: { type: 'string', description: 'When it ends by itself, ISO 8601' },
  for: { type: 'string', description: 'Instead: how long it lasts, such as 2h' },
}

const tags = ['overrides']

export function overrideRoutes(app: FastifyInstance, deps: OverrideRouteDeps): void {
  app.get('/v1/overrides', {
    schema: {
      summary: 'What operators have decided about breakers and drains, and is in force',
      tags,
      response: answers({
        200: {
          description: 'ETag: revision of the overrides',
          type: 'object',
          required: ['revision', 'breakers', 'drains'],
          properties: {
            revision: { type: 'integer', description: '0: nothing was ever decided' },
            breakers: { type: 'array', items: { $ref: 'BreakerDecision#' } },
            drains: { type: 'array', items: { $ref: 'Drain#' } },
          },
        },
      }),
    },
    async handler(request, reply) {
      const { document, head } = await deps.overrides.read()
      if (head) isKnown(request, reply, head.revision)
      const { revision, breakers, drains } = document
      return { revision, breakers, drains }
    },
  })
  breakers(app, deps)
  drains(app, deps)
}

/** @throws MR_BAD_REQUEST with the path of the mistake, MR_OVERRIDE when the end has passed */
function decisionOf(body: DecisionBody, now: number) {
  const { reason, until, for: lasts } = body
  const parsed = decisionSchema.safeParse({ reason, until, for: lasts })
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({
      code: 'MR_BAD_REQUEST' as const,
      path: path.join('.'),
      message,
    }))
    const [first] = problems
    throw new ApiError('MR_BAD_REQUEST', `${first?.path ?? ''}: ${first?.message ?? ''}`, {
      path: first?.path,
      problems,
    })
  }
  const end = endOf({ until: parsed.data.until, lastsMs: parsed.data.for }, now)
  return { reason, since: new Date(now).toISOString(), until: end }
}

interface Wanted {
  edit(document: OverridesDocument): OverridesDocument
  /** For the history and the audit log. */
  readonly message: string
  readonly target: string
}

/** One edit of the overrides, by whoever asks. */
async function change(
  { overrides, store }: OverrideRouteDeps,
  request: Asked,
  reply: Answering,
  { edit, message, target }: Wanted,
) {
  const expectation = expectationOf(request.headers)
  const by = actorOf(request).name
  const expect = (head: Document | null) => checkExpectation(store, overridesDocument, expectation, head)
  const line = message.replace(/[\r\n]+/g, ' ')
  const result = await overrides
    .change({ edit, by, message: line, ...(expectation && { expect }) })
    .catch(async (error: unknown) => {
      // With an expectation there was one try, and somebody came in between.
      const isOvertaken = error instanceof MillraceError && error.code === 'MR_CONFLICT'
      if (!expectation || !isOvertaken) throw error
      throw await stale(
        store,
        overridesDocument,
        expectation,
        await store.get(overridesDocument, { fresh: true }),
      )
    })
  const before = result.before?.revision.number ?? 0
  const changed = result.status === 'committed'
  const revision = changed ? result.revision : result.before?.revision
  // Nothing was decided, and nothing was ever: there is no revision to speak of.
  if (!revision) {
    request.changed = { document: overridesDocument, target, before: 0, after: 0 }
    return { document: overridesDocument, revision: 0, id: '', before: 0, changed: false }
  }
  return changedAnswerOf(request, reply, overridesDocument, { revision, before, changed }, target)
}

const route = (summary: string, params: object, body?: object, querystring?: object) => ({
  config: { role: 'operate' as const },
  schema: {
    summary,
    tags,
    params,
    headers: changeHeaders,
    ...(body && { body: { type: 'object', additionalProperties: false, ...body } }),
    ...(querystring && { querystring }),
    response: answers({ 200: changedAnswer }),
  },
})

function breakers(app: FastifyInstance, deps: OverrideRouteDeps): void {
  const path = '/v1/services/:service/breaker'
  const body = {
    required: ['mode', 'reason'],
    properties: {
      ...decisionBody,
      mode: { type: 'string', enum: ['auto', 'open', 'closed'], description: 'open: trip; closed: close' },
      backend: { type: 'string', minLength: 1, description: 'URL; absent: all of the service' },
    },
  }
  app.put<{ Params: { service: string }; Body: BreakerBody }>(
    path,
    route('Holds the breaker of a backend, or of all of a service, open or closed', serviceParams, body),
    async (request, reply) => {
      const { service } = request.params
      const { mode, backend: given } = request.body
      const backend = given === undefined ? undefined : backendUrlOf(given, 'backend')
      const decided = decisionOf(request.body, deps.wall())
      checkTarget((await deps.desk.read()).data, service, backend)
      const record = { service, backend, mode, actor: actorOf(request).name, ...decided }
      const target = `breakers/${service}${backend === undefined ? '' : `/${backend}`}`
      return change(deps, request, reply, {
        edit: (document) => withBreaker(document, record),
        message: `${target} ${mode}: ${decided.reason}`,
        target,
      })
    },
  )
  const querystring = {
    type: 'object',
    additionalProperties: false,
    properties: { backend: { type: 'string', minLength: 1, description: 'URL; absent: all of the service' } },
  }
  app.delete<{ Params: { service: string }; Querystring: { backend?: string } }>(
    path,
    route('Leaves it to the breaker again', serviceParams, undefined, querystring),
    async (request, reply) => {
      const { service } = request.params
      const { backend: given } = request.query
      const backend = given === undefined ? undefined : backendUrlOf(given, 'query.backend')
      const target = `breakers/${service}${backend === undefined ? '' : `/${backend}`}`
      const { document } = await deps.overrides.read()
      // What the config no longer has may still have its record.
      const isDecided = document.breakers.some((one) => one.service === service)
      if (!isDecided) checkTarget((await deps.desk.read()).data, service, backend)
      return change(deps, request, reply, {
        edit: (now) => withoutBreakers(now, { service, backend }),
        message: `${target} left to itself`,
        target,
      })
    },
  )
}

function drains(app: FastifyInstance, deps: OverrideRouteDeps): void {
  const path = '/v1/services/:service/backends/:backend/drain'
  const body = { required: ['reason'], properties: decisionBody }
  app.put<{ Params: { service: string; backend: string }; Body: DecisionBody }>(
    path,
    route('Drains a backend: no new exchanges; those in flight finish', backendParams, body),
    async (request, reply) => {
      const { service } = request.params
      const backend = backendUrlOf(request.params.backend, 'path.backend')
      const decided = decisionOf(request.body, deps.wall())
      checkTarget((await deps.desk.read()).data, service, backend)
      const record = { service, backend, actor: actorOf(request).name, ...decided }
      const target = `drains/${service}/${backend}`
      return change(deps, request, reply, {
        edit: (document) => withDrain(document, record),
        message: `${target}: ${decided.reason}`,
        target,
      })
    },
  )
  app.delete<{ Params: { service: string; backend: string } }>(
    path,
    route('Lets a drained backend take exchanges again', backendParams),
    async (request, reply) => {
      const { service } = request.params
      const backend = backendUrlOf(request.params.backend, 'path.backend')
      const { document } = await deps.overrides.read()
      const isDrained = document.drains.some((one) => one.service === service && one.backend === backend)
      if (!isDrained) checkTarget((await deps.desk.read()).data, service, backend)
      const target = `drains/${service}/${backend}`
      return change(deps, request, reply, {
        edit: (now) => withoutDrain(now, { service, backend }),
        message: `${target} ended`,
        target,
      })
    },
  )
}
