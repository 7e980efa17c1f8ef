/** The config as a whole: read, written, compared, taken back. */
import type { FastifyInstance } from 'fastify'
import type { PluginCatalog } from '../config/catalog.ts'
import { unifiedDiff } from '../config/line-diff.ts'
import { shownYaml, yamlOf } from '../config/shown-yaml.ts'
import { configDocument } from '../config/sync/value.ts'
import type { ConfigStore } from '../contracts/config-store.ts'
import { changedAnswerOf, isKnown } from './answers.ts'
import { yamlTypes } from './body.ts'
import type { ConfigAt, ConfigData, ConfigDesk } from './config-desk.ts'
import { ApiError } from './errors.ts'
import { expectationOf } from './preconditions.ts'
import { redacted } from './redact.ts'
import { type Answering, type Asked, actorOf, numberOf } from './request.ts'
import { answers, changedAnswer, changeHeaders, digits, type MessageQuery, messageQuery } from './schemas.ts'
import { viewOf } from './views.ts'

export interface ConfigRouteDeps {
  readonly desk: ConfigDesk
  readonly store: ConfigStore
  catalog(): PluginCatalog
}

const wholeConfig = {
  type: 'object',
  additionalProperties: true,
  description: 'routes, services and filters, as in a config file; what may stand in them: millrace schema',
}
const inBoth = {
  'application/json': { schema: wholeConfig },
  ...Object.fromEntries(yamlTypes.map((type) => [type, { schema: wholeConfig }])),
}

export function configRoutes(app: FastifyInstance, deps: ConfigRouteDeps): void {
  reading(app, deps)
  history(app, deps)
  difference(app, deps)
  writing(app, deps)
  rollback(app, deps)
}

function reading(app: FastifyInstance, { desk, catalog }: ConfigRouteDeps): void {
  app.get<{ Querystring: { revision?: string } }>(
    '/v1/config',
    {
      schema: {
        summary: 'The whole config, as JSON, or as YAML where Accept says so',
        description: 'Secrets are left out for roles below admin; Millrace-Redacted says so.',
        tags: ['config'],
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { revision: digits('Not the newest, but this one') },
        },
        response: answers({
          200: {
            description: 'ETag: its revision',
            content: {
              'application/json': { schema: wholeConfig },
              'application/yaml': { schema: { type: 'string' } },
            },
          },
          304: { description: 'If-None-Match: it is this one', type: 'null' },
        }),
      },
    },
    async (request, reply) => {
      const number = numberOf(request.query.revision)
      const at = number === undefined ? await desk.read() : await desk.revision(number, 'query.revision')
      if (isKnown(request, reply, at.head.revision)) return reply.code(304).send()
      const data = shownTo(request, reply, at, catalog)
      if (!wantsYaml(request.headers.accept)) return data
      return reply.type('application/yaml; charset=utf-8').send(yamlOf(data))
    },
  )
}

/** Without secrets, save for those who may write them. */
function shownTo(
  request: Pick<Asked, 'actor'>,
  reply: Answering,
  { data }: Pick<ConfigAt, 'data'>,
  catalog: () => PluginCatalog,
): ConfigData {
  reply.header('vary', 'authorization, accept')
  if (actorOf(request).role === 'admin') return data
  reply.header('millrace-redacted', 'true')
  return redacted(data, catalog())
}

function wantsYaml(accept = ''): boolean {
  const [first] = accept.split(',').filter((type) => /yaml|json|\*\/\*/.test(type))
  return first?.includes('yaml') ?? false
}

function history(app: FastifyInstance, { store }: ConfigRouteDeps): void {
  app.get<{ Querystring: { limit?: string; before?: string } }>(
    '/v1/config/history',
    {
      schema: {
        summary: 'The revisions that are kept, the newest first',
        tags: ['config'],
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: {
            limit: digits('So many; default 100', 4),
            before: digits('Only revisions below this one'),
          },
        },
        response: answers({
          200: {
            description: 'Revisions',
            type: 'object',
            required: ['revisions'],
            properties: { revisions: { type: 'array', items: { $ref: 'Revision#' } } },
          },
        }),
      },
    },
    async ({ query: { limit, before } }) => {
      const wanted = { limit: numberOf(limit) ?? 100, before: numberOf(before) }
      if (wanted.limit === 0)
        throw new ApiError('MR_BAD_REQUEST', 'expected a number from 1', { path: 'query.limit' })
      return { revisions: (await store.history(configDocument, wanted)).map(viewOf) }
    },
  )
}

function difference(app: FastifyInstance, { desk, catalog }: ConfigRouteDeps): void {
  app.get<{ Querystring: { from?: string; to?: string } }>(
    '/v1/config/diff',
    {
      schema: {
        summary: 'What has changed between two revisions, as a unified diff of YAML',
        description: 'Without `to`: to the newest. Without `from`: from the one before.',
        tags: ['config'],
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { from: digits('Revision'), to: digits('Revision') },
        },
        response: answers({
          200: {
            description: 'The difference; an empty text where there is none',
            type: 'object',
            required: ['to', 'diff'],
            properties: { from: { $ref: 'Revision#' }, to: { $ref: 'Revision#' }, diff: { type: 'string' } },
          },
        }),
      },
    },
    async (request, reply) => {
      const [from, to] = [numberOf(request.query.from), numberOf(request.query.to)]
      const after = to === undefined ? await desk.read() : await desk.revision(to, 'query.to')
      const number = from ?? after.head.revision.number - 1
      const before = number === 0 ? undefined : await desk.revision(number, 'query.from')
      const textOf = (at: ConfigAt | undefined) => (at ? shownYaml(shownTo(request, reply, at, catalog)) : '')
      return {
        from: before && viewOf(before.head),
        to: viewOf(after.head),
        diff: unifiedDiff(textOf(before), textOf(after)).join('\n'),
      }
    },
  )
}

function writing(app: FastifyInstance, { desk }: ConfigRouteDeps): void {
  app.put<{ Querystring: MessageQuery; Body: ConfigData }>(
    '/v1/config',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Writes the whole config',
        description:
          'Needs If-Match with the revision that it was made from, or If-None-Match: * for the first.',
        tags: ['config'],
        querystring: messageQuery,
        headers: changeHeaders,
        body: { content: inBoth },
        response: answers({ 200: changedAnswer }),
      },
    },
    async (request, reply) => {
      const expectation = expectationOf(request.headers)
      if (expectation === undefined)
        throw new ApiError('MR_REVISION_NEEDED', 'If-Match is missing: on top of which revision is this?', {
          path: 'headers.if-match',
          hint: 'GET /v1/config, and send its ETag as If-Match; for the first config If-None-Match: *',
        })
      const { body, query } = request
      if (body === undefined) throw new ApiError('MR_BAD_REQUEST', 'the body is missing: expected a config')
      const by = actorOf(request).name
      const changed = await desk.change({
        edit: () => body,
        by,
        message: query.message,
        expectation,
        whole: true,
      })
      return changedAnswerOf(request, reply, configDocument, changed)
    },
  )
}

function rollback(app: FastifyInstance, { desk }: ConfigRouteDeps): void {
  app.post<{ Querystring: MessageQuery; Body: { revision: number } }>(
    '/v1/config/rollback',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Writes what an earlier revision held as a new one',
        tags: ['config'],
        querystring: messageQuery,
        headers: changeHeaders,
        body: {
          type: 'object',
          required: ['revision'],
          additionalProperties: false,
          properties: { revision: { type: 'integer', minimum: 1 } },
        },
        response: answers({ 200: changedAnswer }),
      },
    },
    async (request, reply) => {
      const { revision } = request.body
      const { data } = await desk.revision(revision, 'revision')
      const message = request.query.message ?? `rollback to revision ${revision}`
      const expectation = expectationOf(request.headers)
      const by = actorOf(request).name
      const changed = await desk.change({ edit: () => data, by, message, expectation, whole: true })
      return changedAnswerOf(request, reply, configDocument, changed, `revision ${revision}`)
    },
  )
}
