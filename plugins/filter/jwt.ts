import type { CryptoKey, JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from 'jose'
import { definePlugin, duration, type Filter, type FilterExchange, type ThreadContext, z } from 'millrace'
import { fieldName } from '../lib/fields.ts'
import { RemoteKeys } from '../lib/key-set.ts'
import { localKey, localKeys } from '../lib/local-keys.ts'
import { removeLookalikes } from '../lib/lookalikes.ts'
import { Recent } from '../lib/recent.ts'

const algorithm = z.enum([
  ...([
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'Ed25519',
  ] as const),
  ...(['HS256', 'HS384', 'HS512'] as const),
])
const oneOrMore = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])

const options = z
  .strictObject({
    jwks: z
      .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
      .optional()
      .describe('Where the keys are (a JWK set, RFC 7517)'),
    refresh: duration
      .refine((ms) => ms >= 1000, 'refresh must be at least 1s')
      .prefault('5m')
      .describe('How often they are fetched again'),
    keys: z
      .array(localKey)
      .min(1)
      .optional()
      .describe('Keys: JWKs, such as { kty: OKP, crv: Ed25519, kid: a, x: … } or { kty: oct, k: … }'),
    algorithms: z
      .array(algorithm)
      .min(1)
      .default(['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'])
      .describe('Signatures that are taken. HS256 and its like need a secret key of kty oct under keys'),
    issuer: oneOrMore.optional().describe('What iss must be; of several, one'),
    audience: oneOrMore.optional().describe('What aud must hold; of several, one'),
    leeway: duration
      .refine((ms) => ms <= 3_600_000, 'leeway is at most 1h')
      .prefault('5s')
      .describe('How far clocks may differ'),
    required: z.array(z.string().min(1)).default(['exp']).describe('Claims that must be there'),
    claims: z
      .record(z.string().min(1), fieldName)
      .default({})
      .describe('Headers that tell the backend claims: { sub: x-user }. What the client sent there goes'),
    forward: z.boolean().default(true).describe('Sends the token on, in Authorization'),
    realm: z
      .string()
      .regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/, 'a realm holds printable ASCII, no quotes')
      .optional()
      .describe('In the WWW-Authenticate of answers'),
  })
  .refine(({ jwks, keys }) => (jwks === undefined) !== (keys === undefined), {
    message: 'expected exactly one of `jwks` (a URL) and `keys`',
  })
  .refine(({ jwks, algorithms }) => jwks === undefined || !algorithms.some((name) => name.startsWith('HS')), {
    message: 'algorithms with a shared secret (HS…) need `keys`: a key set at a URL holds public keys',
    path: ['algorithms'],
  })
type Options = z.output<typeof options>
type Jose = typeof import('jose')

/** What is remembered of a right token. */
interface Verified {
  readonly fields: readonly (readonly [name: string, value: string | undefined])[]
  readonly version: number
  readonly notBeforeMs: number
}

/** Tokens that are remembered, and for how long at most. */
const remembered = 10_000
const rememberedMs = 60_000
const maxTokenLength = 8192

/** Where keys come from; `version` changes with them. */
interface Keys {
  readonly keys: JWTVerifyGetKey | undefined
  readonly version: number
  lookAgain(): Promise<void>
}

/** RFC 6750 §2.1. Undefined: none was sent; empty: what was sent is none. */
function tokenOf(exchange: FilterExchange): string | undefined {
  const { headers } = exchange.request
  const field = headers.get('authorization')
  if (field === undefined) return undefined
  // Of two fields the backend may read the one that was not checked.
  if (headers.getAll('authorization').length > 1) return ''
  const match = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(field)
  return match && match[1].length <= maxTokenLength ? match[1] : ''
}

/** A claim as the value of a header: text, number or truth; a list of them is joined. Others, and what no header can hold, are left out. */
function fieldOf(claim: unknown): string | undefined {
  const parts = Array.isArray(claim) ? claim : [claim]
  if (!parts.every((part) => ['string', 'number', 'boolean'].includes(typeof part))) return undefined
  const text = parts.join(',')
  return /^[\x20-\x7e]*$/.test(text) && text === text.trim() ? text : encodeURIComponent(text.toWellFormed())
}

class Jwt implements Filter {
  readonly #context: ThreadContext
  readonly #options: Options
  readonly #jose: Jose
  readonly #keys: Keys
  readonly #right = new Recent<Verified>(remembered)
  readonly #claims: readonly (readonly [claim: string, header: string])[]
  /** Those that claims are told in. */
  readonly #headers: readonly string[]
  readonly #refused: ReturnType<ThreadContext['metrics']['counter']>

  constructor(context: ThreadContext, parsed: Options, jose: Jose, keys: Keys) {
    this.#context = context
    this.#options = parsed
    this.#jose = jose
    this.#keys = keys
    this.#claims = Object.entries(parsed.claims)
    this.#headers = Object.values(parsed.claims)
    this.#refused = context.metrics.counter('jwt_refused_total', 'Requests without a valid token')
  }

  // HOT
  onRequest(exchange: FilterExchange): void | Promise<void> {
    const token = tokenOf(exchange)
    if (token === undefined) this.#refuse(exchange, 401, '')
    else if (token === '') this.#refuse(exchange, 400, 'invalid_request', 'expected one bearer token')
    else {
      const wall = this.#context.clock.wall()
      const found = this.#right.get(token, wall)
      if (found && found.version === this.#keys.version && found.notBeforeMs <= wall)
        this.#pass(exchange, found)
      else return this.#check(exchange, token)
    }
  }

  async #check(exchange: FilterExchange, token: string): Promise<void> {
    let verified: Verified
    try {
      verified = await this.#verify(token)
    } catch (error) {
      if (error === noKeys) {
        exchange.respond({ status: 503, headers: { 'Retry-After': '1', 'Cache-Control': 'no-store' } })
        return
      }
      // jose throws a TypeError where a key does not fit the algorithm.
      if (!(error instanceof this.#jose.errors.JOSEError) && !(error instanceof TypeError)) throw error
      this.#refuse(exchange, 401, 'invalid_token', reasonOf(error))
      return
    }
    this.#pass(exchange, verified)
  }

  async #verify(token: string): Promise<Verified> {
    const { algorithms, issuer, audience, leeway, required } = this.#options
    const wall = this.#context.clock.wall()
    const settings: JWTVerifyOptions = {
      algorithms,
      issuer,
      audience,
      clockTolerance: leeway / 1000,
      requiredClaims: required,
      currentDate: new Date(wall),
    }
    let payload: JWTPayload
    let version: number
    if (this.#keys.keys === undefined) await this.#keys.lookAgain()
    try {
      version = this.#keys.version
      payload = await this.#payload(token, settings)
    } catch (error) {
      if (!(error instanceof this.#jose.errors.JWKSNoMatchingKey)) throw error
      await this.#keys.lookAgain()
      version = this.#keys.version
      payload = await this.#payload(token, settings)
    }
    const { exp = Number.POSITIVE_INFINITY, nbf = 0 } = payload
    const verified: Verified = {
      fields: this.#claims.map(([claim, header]) => [header, fieldOf(payload[claim])] as const),
      version,
      notBeforeMs: nbf * 1000 - leeway,
    }
    this.#right.set(token, verified, Math.min(wall + rememberedMs, exp * 1000 + leeway))
    return verified
  }

  /** Where the token does not say which of several keys is its own, all are tried. */
  async #payload(token: string, settings: JWTVerifyOptions): Promise<JWTPayload> {
    const { jwtVerify, errors } = this.#jose
    try {
      return (await jwtVerify(token, this.#present(), settings)).payload
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      for await (const key of error as unknown as AsyncIterable<CryptoKey | Uint8Array>) {
        try {
          return (await jwtVerify(token, key, settings)).payload
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
        }
      }
      throw new errors.JWSSignatureVerificationFailed()
    }
  }

  /** @throws noKeys where none could be fetched yet */
  #present(): JWTVerifyGetKey {
    if (this.#keys.keys === undefined) throw noKeys
    return this.#keys.keys
  }

  #pass(exchange: FilterExchange, { fields }: Verified): void {
    const { headers } = exchange.request
    if (!this.#options.forward) headers.remove('authorization')
    if (fields.length > 0) removeLookalikes(headers, this.#headers)
    for (const [name, value] of fields) {
      if (value === undefined) headers.remove(name)
      else headers.set(name, value)
    }
  }

  /** RFC 6750 §3. */
  #refuse(exchange: FilterExchange, status: number, code: string, why = ''): void {
    this.#refused.add()
    const { realm } = this.#options
    const parts = [
      realm === undefined ? '' : `realm="${realm}"`,
      code === '' ? '' : `error="${code}", error_description="${why}"`,
    ].filter((part) => part !== '')
    exchange.respond({
      status,
      headers: { 'WWW-Authenticate': `Bearer ${parts.join(', ')}`.trim(), 'Cache-Control': 'no-store' },
      body: code === '' ? 'A bearer token is needed.\n' : `${why}\n`,
    })
  }
}

const noKeys = Object.freeze(new Error('no keys could be fetched yet'))

/** What the client may be told: never a part of the token. */
function reasonOf(error: Error): string {
  const { code, claim = '' } = error as { readonly code?: string; readonly claim?: string }
  switch (code) {
    case 'ERR_JWT_EXPIRED':
      return 'the token is over'
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED':
      return /^[a-z0-9_-]{1,32}$/i.test(claim) ? `the claim ${claim} is not right` : 'a claim is not right'
    case 'ERR_JOSE_ALG_NOT_ALLOWED':
      return 'the algorithm is not taken'
    case 'ERR_JWKS_NO_MATCHING_KEY':
    case 'ERR_JWKS_MULTIPLE_MATCHING_KEYS':
      return 'the key is not known'
    case 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED':
      return 'the signature is not right'
    default:
      return 'the token is malformed'
  }
}

async function create(context: ThreadContext, parsed: Options): Promise<Filter> {
  const jose = await import('jose')
  if (parsed.keys !== undefined) {
    const keys = localKeys(parsed.keys, jose)
    return new Jwt(context, parsed, jose, { keys, version: 1, lookAgain: async () => {} })
  }
  const remote = new RemoteKeys(parsed.jwks!, parsed.refresh, (set) => jose.createLocalJWKSet(set), context)
  // A key server that is away keeps nobody from starting: tokens are refused with 503 until it is there.
  if (!context.trial) await remote.refresh()
  return new Jwt(context, parsed, jose, remote)
}

/**
 * Asks for a bearer token (RFC 6750) that is a signed JWT (RFC 7519), and tells the backend claims of it in headers.
 * 401 with an error code where it is missing or not right, 400 where the field is malformed, 503 while no key could be
 * fetched. Algorithms are those of the list, whatever the token says; `none` is never one.
 *
 * A right token is remembered for at most a minute, and no longer than it holds or its keys stay, so that its next requests
 * are passed without a promise. Keys at a URL are fetched by each data thread, beside the requests. Uses the package `jose`.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'jwt',
  description: 'Asks for a bearer token that is a signed JWT.',
  options,
  create,
})
