/** What every request of the API carries beside Fastify's own: who asks, and what it has changed. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Actor, Role } from './auth.ts'

/** For the audit log. */
export interface Changed {
  /** Name in the store. */
  readonly document: string
  /** What of it, for people: `services/api/backends/http://…`. */
  readonly target?: string | undefined
  /** Numbers of revisions; before: 0 where there was none. */
  readonly before: number
  readonly after: number
}

/** What is asked of a request and its answer where its route does not matter. */
export interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly actor: Actor | undefined
  changed: Changed | undefined
}
export interface Answering {
  header(name: string, value: string): unknown
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined before the token was looked at. */
    actor: Actor | undefined
    changed: Changed | undefined
    /** Code of the error that is answered. */
    refusal: string | undefined
  }
  interface FastifyContextConfig {
    /** Who may call the route; default `read`. */
    role?: Role
    /** No token is needed. */
    open?: boolean
  }
}

/** The one who asks. Every handler runs after the token was looked at. */
export function actorOf({ actor }: Pick<Asked, 'actor'>): Actor {
  if (actor) return actor
  throw new Error('the route was called without a token')
}

/** A query parameter that the route's schema holds to be digits. */
export function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}
