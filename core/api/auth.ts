/** Who asks, and what they may: bearer tokens with roles, each of which includes those below it. */
import { timingSafeEqual } from 'node:crypto'
import { hashToken } from '../config/check-api.ts'
import type { ApiToken } from '../config/snapshot.ts'

/** From the least to the most. */
export const roles = ['read', 'operate', 'admin'] as const
export type Role = (typeof roles)[number]

export interface Actor {
  /** Of the token; stands in the history of documents and in the audit log. */
  readonly name: string
  readonly role: Role
}

/** Where there is no token at all the API listens on loopback, and whoever reaches that may do everything. */
export const anybody: Actor = { name: 'local', role: 'admin' }

export function mayAs(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed)
}

/** The only form that is read: RFC 6750 §2.1. */
const bearer = /^Bearer +([\x21-\x7e]{1,4096})$/i

export class TokenTable {
  readonly #tokens: readonly { readonly actor: Actor; readonly hash: Buffer }[]

  constructor(tokens: readonly ApiToken[]) {
    this.#tokens = tokens.map(({ name, role, hash }) => ({
      actor: { name, role },
      hash: Buffer.from(hash, 'hex'),
    }))
  }

  /** @param authorization the header; undefined: none came */
  find(authorization: string | undefined): Actor | undefined {
    if (this.#tokens.length === 0) return anybody
    const token = bearer.exec(authorization ?? '')?.[1]
    if (token === undefined) return undefined
    const hash = Buffer.from(hashToken(token), 'hex')
    let found: Actor | undefined
    // Each one is compared, and in the same time, whichever it is.
    for (const one of this.#tokens)
      if (one.hash.length === hash.length && timingSafeEqual(one.hash, hash)) found ??= one.actor
    return found
  }
}
