/** Services and their backends as resources. Each change is a compare-and-set edit of the document `config`. */
import type { FastifyInstance } from 'fastify'
import type { PluginCatalog } from '../config/catalog.ts'
import { breakerFor, drainFor, type OverridesDocument } from '../config/overrides.ts'
import type { StoreOverrides } from '../config/sync/store-overrides.ts'
import { configDocument } from '../config/sync/value.ts'
import { changedAnswerOf, isKnown } from './answers.ts'
import type { Role } from './auth.ts'
import type { ConfigChange, ConfigData, ConfigDesk } from './config-desk.ts'
import { ApiError } from './errors.ts'
import { expectationOf } from './preconditions.ts'
import { redacted } from './redact.ts'
import { type Answering, type Asked, actorOf } from './request.ts'
import { answers, changedAnswer, changeHeaders, type MessageQuery, messageQuery } from './schemas.ts'
import {
  type BackendEntry,
  backendIn,
  backendsOf,
  backendUrlOf,
  type NewBackend,
  serviceIn,
  servicesOf,
  withBackend,
  withoutBackend,
  withoutService,
  withService,
  withWeight,
} from './service-edits.ts'

export interface ServiceRouteDeps {
  readonly desk: ConfigDesk
  readonly overrides: StoreOverrides
  catalog(): PluginCatalog
}

interface OfService {
  Params: { service: string }
  Querystring: MessageQuery
}
interface OfBackend {
  Params: { service: string; backend: string }
  Querystring: MessageQuery
}

const text = { type: 'string', minLength: 1, maxLength: 500 } as const
export const serviceParams = { type: 'object', properties: { service: text } }
export const backendParams = {
  type: 'object',
  properties: { service: text, backend: { ...text, description: 'URL, percent-encoded' } },
}
const weight = { type: 'integer', minimum: 0, maximum: 65_535 } as const
const newBackend = {
  type: 'object',
  required: ['url'],
  additionalProperties: false,
  properties: {
    url: text,
    weight,
    zone: { type: 'string' },
    tags: { type: 'array', items: { type: 'string', minLength: 1 } },
    priority: { type: 'integer', minimum: 0, maximum: 127 },
  },
}
const tags = ['services']

export function serviceRoutes(app: FastifyInstance, deps: ServiceRouteDeps): void {
  readServices(app, deps)
  readBackends(app, deps)
  changeServices(app, deps)
  changeBackends(app, deps)
}

const list = (key: string, item: string) => ({
  type: 'object',
  required: [key],
  properties: { [key]: { type: 'array', items: { $ref: item } } },
})

function readServices(app: FastifyInstance, { desk, overrides, catalog }: ServiceRouteDeps): void {
  app.get('/v1/services', {
    schema: {
      summary: 'All services, with what operators have decided about their backends',
      tags,
      response: answers({
        200: { description: 'ETag: revision of the config', ...list('services', 'Service#') },
      }),
    },
    async handler(request, reply) {
      const [at, { document }] = await Promise.all([desk.read(), overrides.read()])
      isKnown(request, reply, at.head.revision)
      const data = redacted(at.data, catalog())
      return { services: Object.keys(servicesOf(data)).map((name) => serviceView(data, name, document)) }
    },
  })
  app.get<OfService>('/v1/services/:service', {
    schema: {
      summary: 'One service',
      tags,
      params: serviceParams,
      response: answers({ 200: { description: 'ETag: revision of the config', $ref: 'Service#' } }),
    },
    async handler(request, reply) {
      const [at, { document }] = await Promise.all([desk.read(), overrides.read()])
      isKnown(request, reply, at.head.revision)
      return serviceView(redacted(at.data, catalog()), request.params.service, document)
    },
  })
}

function readBackends(app: FastifyInstance, { desk, overrides }: ServiceRouteDeps): void {
  app.get<OfService>('/v1/services/:service/backends', {
    schema: {
      summary: 'The backends of a service',
      tags,
      params: serviceParams,
      response: answers({
        200: { description: 'ETag: revision of the config', ...list('backends', 'Backend#') },
      }),
    },
    async handler(request, reply) {
      const [at, { document }] = await Promise.all([desk.read(), overrides.read()])
      isKnown(request, reply, at.head.revision)
      return { backends: serviceView(at.data, request.params.service, document).backends }
    },
  })
  app.get<OfBackend>('/v1/services/:service/backends/:backend', {
    schema: {
      summary: 'One backend',
      tags,
      params: backendParams,
      response: answers({ 200: { description: 'ETag: revision of the config', $ref: 'Backend#' } }),
    },
    async handler(request, reply) {
      const { service, backend } = request.params
      const url = backendUrlOf(backend, 'path.backend')
      const [at, { document }] = await Promise.all([desk.read(), overrides.read()])
      isKnown(request, reply, at.head.revision)
      return backendView(service, backendIn(at.data, service, url), document)
    },
  })
}

function serviceView(data: ConfigData, name: string, document: OverridesDocument) {
  const service = serviceIn(data, name)
  const { backends: _backends, ...settings } = service
  const backends = backendsOf(service).map((entry) => backendView(name, entry, document))
  return { name, backends, settings }
}

function backendView(service: string, entry: BackendEntry, document: OverridesDocument) {
  const { url } = entry
  return { ...entry, drain: drainFor(document, service, url), breaker: breakerFor(document, service, url) }
}

/** One edit of the config, by whoever asks. */
async function change(
  desk: ConfigDesk,
  request: Asked & { readonly query: MessageQuery },
  reply: Answering,
  { edit, target, expectation }: Pick<ConfigChange, 'edit' | 'expectation'> & { readonly target: string },
) {
  const by = actorOf(request).name
  const changed = await desk.change({ edit, by, message: request.query.message, expectation })
  return changedAnswerOf(request, reply, configDocument, changed, target)
}

/** What every change of a part has. `If-Match` is the revision of the whole config. */
const changing = (role: Role, summary: string, params: object, body?: object) => ({
  config: { role },
  schema: {
    summary,
    tags,
    params,
    querystring: messageQuery,
    headers: changeHeaders,
    ...(body && { body }),
    response: answers({ 200: changedAnswer }),
  },
})

const wholeService = {
  type: 'object',
  additionalProperties: true,
  description: 'As under `services` of a config',
}

function changeServices(app: FastifyInstance, { desk }: ServiceRouteDeps): void {
  const put = 'Adds a service, or replaces its settings and backends; with If-None-Match: * only adds'
  app.put<OfService & { Body: Record<string, unknown> }>(
    '/v1/services/:service',
    changing('admin', put, serviceParams, wholeService),
    (request, reply) => {
      const { service: name } = request.params
      // Of the service here, not of the config that it stands in.
      const isNew = request.headers['if-none-match'] === '*' && request.headers['if-match'] === undefined
      const edit = (data: ConfigData): ConfigData => {
        if (isNew && Object.hasOwn(servicesOf(data), name))
          throw new ApiError('MR_REVISION_STALE', `there is a service ${name} already`, {
            path: 'headers.if-none-match',
          })
        return withService(data, name, request.body)
      }
      const expectation = isNew ? undefined : expectationOf(request.headers)
      return change(desk, request, reply, { edit, target: `services/${name}`, expectation })
    },
  )
  app.delete<OfService>(
    '/v1/services/:service',
    changing('admin', 'Removes a service that nothing leads to', serviceParams),
    (request, reply) => {
      const { service: name } = request.params
      const edit = (data: ConfigData): ConfigData => withoutService(data, name)
      const expectation = expectationOf(request.headers)
      return change(desk, request, reply, { edit, target: `services/${name}`, expectation })
    },
  )
}

function changeBackends(app: FastifyInstance, { desk }: ServiceRouteDeps): void {
  app.post<OfService & { Body: NewBackend }>(
    '/v1/services/:service/backends',
    changing('operate', 'Adds a backend', serviceParams, newBackend),
    (request, reply) => {
      const { body } = request
      const { service } = request.params
      const edit = (data: ConfigData): ConfigData => withBackend(data, service, body)
      const target = `services/${service}/backends/${body.url}`
      return change(desk, request, reply, { edit, target, expectation: expectationOf(request.headers) })
    },
  )
  const one = '/v1/services/:service/backends/:backend'
  app.delete<OfBackend>(one, changing('operate', 'Removes a backend', backendParams), (request, reply) => {
    const { service, backend } = request.params
    const url = backendUrlOf(backend, 'path.backend')
    const edit = (data: ConfigData): ConfigData => withoutBackend(data, service, url)
    const target = `services/${service}/backends/${url}`
    return change(desk, request, reply, { edit, target, expectation: expectationOf(request.headers) })
  })
  const weightBody = {
    type: 'object',
    required: ['weight'],
    additionalProperties: false,
    properties: { weight },
  }
  app.put<OfBackend & { Body: { weight: number } }>(
    `${one}/weight`,
    changing('operate', 'Sets the weight of a backend; 0 takes no new exchanges', backendParams, weightBody),
    (request, reply) => {
      const { service, backend } = request.params
      const url = backendUrlOf(backend, 'path.backend')
      const edit = (data: ConfigData): ConfigData => withWeight(data, service, url, request.body.weight)
      const target = `services/${service}/backends/${url}/weight`
      return change(desk, request, reply, { edit, target, expectation: expectationOf(request.headers) })
    },
  )
}
