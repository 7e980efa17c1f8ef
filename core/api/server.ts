/**
 * The LB API: an HTTP server with which people and programs see and change a fleet through its config store. It needs nothing of
 * an LB server, so that an orchestrator can host it as well; no request of the proxy ever waits for it.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { isLoopback } from '../config/addresses.ts'
import type { PluginCatalog } from '../config/catalog.ts'
import type { ApiToken } from '../config/snapshot.ts'
import { StoreOverrides } from '../config/sync/store-overrides.ts'
import type { ConfigStore, RevisionRef } from '../contracts/config-store.ts'
import type { Log } from '../contracts/plugin.ts'
import type { RawClock } from '../host/clock.ts'
import { type ErrorCode, MillraceError } from '../host/errors.ts'
import { listenError } from '../host/listen-error.ts'
import { Audit } from './audit.ts'
import { auditing, auditRoutes } from './audit-routes.ts'
import { TokenTable } from './auth.ts'
import { readBodies } from './body.ts'
import { ConfigDesk } from './config-desk.ts'
import { configRoutes } from './config-routes.ts'
import { EventHub } from './event-hub.ts'
import { eventRoutes } from './event-routes.ts'
import { bodyLimit, guard } from './guard.ts'
import { nodeRoutes } from './node-routes.ts'
import { describeApi } from './openapi.ts'
import { overrideRoutes } from './override-routes.ts'
import { refusals } from './refusals.ts'
import { sharedSchemas } from './schemas.ts'
import { serviceRoutes } from './service-routes.ts'

export interface ApiOptions {
  /** IPv6 without brackets; port 0: any free one. */
  readonly host: string
  readonly port: number
  /** None: everybody on this machine may do everything. */
  readonly tokens: readonly ApiToken[]
  /** Names, beside localhost and addresses, under which it is called. */
  readonly hosts: readonly string[]
  /** Folder of the audit log; made when it is not there. */
  readonly data: string
  /** The plugins that a config is checked against, now. */
  catalog(): PluginCatalog
  /** A write was committed: the fleet is to be told. */
  committed?(document: string, revision: RevisionRef): void
  /** Of millrace, for the OpenAPI document. */
  readonly version: string
}

export interface ApiServer {
  readonly address: string
  readonly port: number
  /** Where it is, for people. */
  readonly url: string
  /** Stops at once, save that it waits for changes that the store was asked for: they stand in the audit log. Idempotent. */
  close(): Promise<void>
}

/** Each holds memory and a file descriptor of the proxy's process, with a token or without. */
const mostConnections = 512

/** @throws MR_LISTEN when the address cannot be bound, or would be open to everybody */
export async function startApi(
  store: ConfigStore,
  clock: RawClock,
  log: Log,
  options: ApiOptions,
): Promise<ApiServer> {
  const { host, port, tokens } = options
  if (tokens.length === 0 && !isLoopback(host)) {
    const message = `api: ${host} can be reached from elsewhere, and without a token everybody could change everything; bind 127.0.0.1, or list tokens`
    throw new MillraceError('MR_LISTEN', message, { path: 'api.tokens' })
  }
  const files = {
    file: join(options.data, 'audit.jsonl'),
    refusedFile: join(options.data, 'audit-refused.jsonl'),
  }
  const audit = new Audit({ ...files, log, clock })
  await audit.load()
  const hub = new EventHub({ store, clock, log, id: randomBytes(6).toString('hex') })
  const { app, changesEnd } = await appOf(store, clock, log, options, { audit, hub })
  const close = async (): Promise<void> => {
    hub.stop()
    await app.close()
    // What the store has not answered yet may still be done.
    await changesEnd()
    await audit.close()
  }
  app.server.maxConnections = mostConnections
  try {
    await app.listen({ host, port })
  } catch (cause) {
    await close()
    throw listenError('api', { host, port, socketPath: '' }, 'api.address', cause as Error)
  }
  const bound = app.server.address()
  // Not a unix socket: `listen` was given a port.
  if (bound === null || typeof bound === 'string')
    throw new MillraceError('MR_LISTEN', 'api: no address was bound')
  const shown = bound.address.includes(':') ? `[${bound.address}]` : bound.address
  return { address: bound.address, port: bound.port, url: `http://${shown}:${bound.port}`, close }
}

async function appOf(
  store: ConfigStore,
  clock: RawClock,
  log: Log,
  options: ApiOptions,
  { audit, hub }: { readonly audit: Audit; readonly hub: EventHub },
): Promise<{ readonly app: FastifyInstance; readonly changesEnd: () => Promise<void> }> {
  const app = fastify({
    bodyLimit,
    forceCloseConnections: true,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    // A slow sender holds a connection, not for ever.
    requestTimeout: 30_000,
    // A wrong type is a mistake, not something to convert.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    // A URL of a backend, percent-encoded.
    routerOptions: { maxParamLength: 1500 },
    frameworkErrors: ({ statusCode = 400, message }, request, reply) => {
      const code: ErrorCode = statusCode === 414 ? 'MR_TARGET_TOO_LONG' : 'MR_BAD_REQUEST'
      // No route was found, so no schema tells what may be sent.
      const plain = reply as unknown as FastifyReply
      void plain.code(statusCode).send({ code, message, request: request.id })
    },
  })
  const { catalog, committed, tokens, hosts, version } = options
  const writing = { store, clock, newId: () => randomBytes(12).toString('hex'), committed }
  const overrides = new StoreOverrides(writing)
  const desk = new ConfigDesk({ ...writing, catalog })
  const refused = refusals(app, log, clock)
  for (const schema of sharedSchemas) app.addSchema(schema)
  readBodies(app)
  guard(app, { tokens: new TokenTable(tokens), hosts, refused })
  const changesEnd = auditing(app, audit, clock)
  await describeApi(app, version)
  configRoutes(app, { desk, store, catalog })
  serviceRoutes(app, { desk, overrides, catalog })
  overrideRoutes(app, { desk, overrides, store, wall: () => clock.wall() })
  nodeRoutes(app, writing)
  eventRoutes(app, { hub, clock })
  auditRoutes(app, audit)
  return { app, changesEnd }
}
