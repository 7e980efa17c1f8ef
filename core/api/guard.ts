/** Stands before every route: which names and pages the API may be called by, who calls, and what they may. */
import { isIP } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Actor, mayAs, type TokenTable } from './auth.ts'
import { ApiError } from './errors.ts'

/** 4 MiB. A config of 10,000 backends is 715 KB of JSON. */
export const bodyLimit = 4 * 1024 * 1024

export interface GuardDeps {
  readonly tokens: TokenTable
  /** Names, beside localhost and addresses, under which the API is called. */
  readonly hosts: readonly string[]
  /** A request came without a valid token. */
  refused(request: FastifyRequest): void
}

export function guard(app: FastifyInstance, deps: GuardDeps): void {
  app.decorateRequest('actor')
  app.decorateRequest('changed')
  app.decorateRequest('refusal')
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
    reply.header('millrace-request-id', request.id)
    checkHost(request, deps.hosts)
    checkOrigin(request, deps.hosts)
    request.actor = checkToken(request, reply, deps)
    checkLength(request)
  })
}

/** DNS rebinding: a page's own name, that points here. An address in its place is no name, and cannot be one of a page elsewhere. */
function checkHost(request: FastifyRequest, hosts: readonly string[]): void {
  if (isKnownHost(request.headers.host, hosts)) return
  const message = `Host is ${JSON.stringify(request.headers.host ?? '')}: expected localhost, an address, or a name of api.hosts`
  throw new ApiError('MR_FORBIDDEN', message, { path: 'headers.host' })
}

/** Cross-site request forgery: only pages that the API itself has served may call it. */
function checkOrigin({ headers }: FastifyRequest, hosts: readonly string[]): void {
  const { origin } = headers
  const site = headers['sec-fetch-site']
  const isOwn = origin === undefined || isOriginOf(origin, headers.host, hosts)
  if (isOwn && site !== 'cross-site' && site !== 'same-site') return
  const message = 'a page of another site cannot call the API'
  throw new ApiError('MR_FORBIDDEN', message, { path: isOwn ? 'headers.sec-fetch-site' : 'headers.origin' })
}

function isOriginOf(origin: string, host: string | undefined, hosts: readonly string[]): boolean {
  const url = URL.parse(origin)
  return url !== null && url.host === host && isKnownHost(host, hosts)
}

function isKnownHost(header: string | undefined, hosts: readonly string[]): boolean {
  const name = (header ?? '').replace(/:\d{1,5}$/, '').toLowerCase()
  if (name === 'localhost' || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0) return true
  return hosts.some((host) => (host.startsWith('*.') ? name.endsWith(host.slice(1)) : host === name))
}

/** @throws MR_UNAUTHORIZED, MR_FORBIDDEN */
function checkToken(request: FastifyRequest, reply: FastifyReply, deps: GuardDeps): Actor | undefined {
  const { open = false, role = 'read' } = request.routeOptions.config ?? {}
  if (open) return undefined
  const { authorization } = request.headers
  const actor = deps.tokens.find(authorization)
  if (actor === undefined) {
    deps.refused(request)
    reply.header('www-authenticate', 'Bearer realm="millrace"')
    const message = authorization === undefined ? 'this needs a token' : 'this token is not known'
    throw new ApiError('MR_UNAUTHORIZED', message, {
      path: 'headers.authorization',
      hint: 'send Authorization: Bearer TOKEN, with a token of api.tokens',
    })
  }
  // Kept also where it may not: the audit log says who tried.
  request.actor = actor
  if (mayAs(actor.role, role)) return actor
  const message = `this needs the role ${role}, and the token ${actor.name} has ${actor.role}`
  throw new ApiError('MR_FORBIDDEN', message, { path: 'headers.authorization' })
}

/** Told at once, and what comes is read away: the answer reaches a client that is still sending. */
function checkLength({ headers }: FastifyRequest): void {
  if (!(Number(headers['content-length']) > bodyLimit)) return
  throw new ApiError(
    'MR_BODY_TOO_LARGE',
    `the body has ${headers['content-length']} bytes; ${bodyLimit} at most`,
  )
}
