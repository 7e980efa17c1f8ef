import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type Backend, definePlugin, duration, type Filter, type FilterExchange, z } from 'millrace'
import { cookieValue } from '../lib/cookies.ts'

const secret = z.string().min(16, 'a secret must have at least 16 characters')

const options = z
  .strictObject({
    secrets: z
      .union([secret, z.array(secret).min(1).max(8)], {
        error:
          'expected a secret of at least 16 characters, or a list: the first signs, the others are still accepted',
      })
      .describe(
        'The first one signs; the others are still accepted, and their cookies replaced. The same on all nodes',
      ),
    name: z
      .string()
      .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'a cookie name must be a token: letters, digits and -')
      .optional()
      .describe(
        "Its name. Absent: mr- and letters that differ by service, so that services of one host do not replace each other's",
      ),
    path: z
      .string()
      .regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'expected a path such as /, without ; and blanks')
      .default('/')
      .describe('Path of the cookie: browsers send it back below that'),
    maxAge: duration
      .prefault('0s')
      .describe('How long browsers keep it, from its first sending on; 0s: until they are closed'),
    sameSite: z
      .enum(['lax', 'strict', 'none'])
      .default('lax')
      .describe('Whether browsers send it in requests that other sites cause'),
    secure: z
      .union([z.literal('auto'), z.boolean()])
      .default('auto')
      .describe('Whether it is sent over TLS only; auto: where the connection that it is set on has TLS'),
  })
  .refine(({ sameSite, secure }) => sameSite !== 'none' || secure !== false, {
    path: ['secure'],
    error: 'browsers drop a cookie with sameSite: none that is not secure',
  })
  .refine(({ name, path }) => !name?.startsWith('__Host-') || path === '/', {
    path: ['path'],
    error: 'browsers drop a cookie named __Host-… whose path is not /',
  })
type Options = z.output<typeof options>

/** HMAC-SHA256 as base64url without padding. */
const tokenLength = 43
/** So much of a token finds the backend whose token is then compared in constant time. */
const indexLength = 8

const sameSites = { lax: 'Lax', strict: 'Strict', none: 'None' } as const

/** One token of a backend. */
interface Entry {
  readonly backend: Backend
  readonly token: Buffer
  /** Signed with the first secret. */
  readonly isCurrent: boolean
}

/** The tokens of one service. */
interface Book {
  readonly backends: readonly Backend[]
  readonly cookie: string
  readonly entries: ReadonlyMap<string, Entry>
}

/**
 * The token of a backend is an HMAC-SHA256 of its identity: it is its own signature, says nothing of the address to whoever
 * lacks the secret, and needs no state, as every node that knows the secret makes the same one. So no request pays for
 * an HMAC: tokens are made once for each backend.
 */
class StickyCookie implements Filter {
  private readonly secrets: readonly string[]
  private readonly options: Options
  private readonly attributes: string
  private readonly tokens = new WeakMap<Backend, readonly string[]>()
  private readonly books = new Map<string, Book>()

  constructor(given: Options) {
    const { path, maxAge, sameSite, secrets } = given
    this.options = given
    this.secrets = [secrets].flat()
    const age = maxAge > 0 ? `; Max-Age=${Math.max(1, Math.round(maxAge / 1000))}` : ''
    this.attributes = `; Path=${path}${age}; HttpOnly; SameSite=${sameSites[sameSite]}`
  }

  onRequest(exchange: FilterExchange): void {
    const header = exchange.request.headers.get('cookie')
    if (header === undefined) return
    const book = this.bookOf(exchange)
    const value = cookieValue(header, book.cookie)
    if (value === undefined || value.length !== tokenLength) return
    const entry = book.entries.get(value.slice(0, indexLength))
    if (entry === undefined || !timingSafeEqual(entry.token, Buffer.from(value, 'latin1'))) return
    exchange.prefer(entry.backend)
    // What the client need not be told again.
    if (entry.isCurrent) exchange.state = entry.backend
  }

  onResponse(exchange: FilterExchange): void {
    const { backend, response } = exchange
    if (backend === undefined || response === undefined || response.own || exchange.state === backend) return
    const { secure } = this.options
    const isSecure = secure === 'auto' ? exchange.request.scheme === 'https' : secure
    const { cookie } = this.bookOf(exchange)
    const value = `${cookie}=${this.tokensOf(backend)[0]}${this.attributes}${isSecure ? '; Secure' : ''}`
    response.headers.append('Set-Cookie', value)
  }

  private bookOf(exchange: FilterExchange): Book {
    const { service, backends } = exchange
    const known = this.books.get(service)
    if (known?.backends === backends) return known
    const entries = new Map<string, Entry>()
    for (const backend of backends) {
      this.tokensOf(backend).forEach((token, index) => {
        const entry = { backend, token: Buffer.from(token, 'latin1'), isCurrent: index === 0 }
        entries.set(token.slice(0, indexLength), entry)
      })
    }
    const book = { backends, cookie: known?.cookie ?? this.options.name ?? nameFor(service), entries }
    this.books.set(service, book)
    return book
  }

  private tokensOf(backend: Backend): readonly string[] {
    let tokens = this.tokens.get(backend)
    if (tokens === undefined) {
      tokens = this.secrets.map((key) =>
        createHmac('sha256', key).update(`millrace sticky-cookie\0${backend.id}`).digest('base64url'),
      )
      this.tokens.set(backend, tokens)
    }
    return tokens
  }
}

function nameFor(service: string): string {
  return `mr-${createHash('sha256').update(service).digest('hex').slice(0, 8)}`
}

/**
 * Keeps a client at the backend that answered it first, by a signed cookie. When that backend is gone, down or refused
 * by its breaker, the algorithm chooses, and the client gets a new cookie. Best put on the service.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'sticky-cookie',
  description: 'Keeps a client at its backend by a signed cookie.',
  options,
  create: (_context, parsed) => new StickyCookie(parsed),
})
