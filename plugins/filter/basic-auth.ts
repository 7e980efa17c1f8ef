import { hash, randomBytes } from 'node:crypto'
import { readFileSync, type Stats, statSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { definePlugin, type Filter, type FilterExchange, type ThreadContext, z } from 'millrace'
import { fieldName } from '../lib/fields.ts'
import { Gate } from '../lib/gate.ts'
import { removeLookalikes } from '../lib/lookalikes.ts'
import { matchesPassword, type PasswordHash, parsePassword } from '../lib/password.ts'
import { Recent } from '../lib/recent.ts'

const hashHint = 'expected a scrypt hash: $scrypt$ln=14,r=8,p=1$<salt>$<hash>; see docs/filters.md'
const maxFileBytes = 1024 * 1024

const options = z
  .strictObject({
    users: z
      .record(
        z.string().regex(/^[^:\p{Cc}]+$/u, 'a user name holds no colon and no control characters'),
        z
          .string()
          .refine((text) => parsePassword(text), hashHint)
          .meta({ writeOnly: true }),
      )
      .default({})
      .describe('Password hashes by user name'),
    file: z
      .string()
      .min(1)
      .optional()
      .describe(
        'File with a line name:hash for each user; # begins a comment. Changes are seen within seconds',
      ),
    realm: z
      .string()
      .regex(/^[\x20-\x7e]*$/, 'a realm holds printable ASCII')
      .default('restricted')
      .describe('What the browser says that the password is for'),
    userHeader: fieldName
      .optional()
      .describe(
        "Header in which the backend is told the user's name; what the client sent in it is replaced",
      ),
    forward: z.boolean().default(false).describe("Also sends the user's password on, in Authorization"),
  })
  .refine(({ users, file }) => file !== undefined || Object.keys(users).length > 0, {
    message: 'expected `users`, a `file`, or both',
  })
type Options = z.output<typeof options>

/** A right password need not be computed again for so long. */
const rememberedMs = 5 * 60_000
const remembered = 10_000
/** scrypt takes 16 MiB and tens of milliseconds: a flood of wrong passwords must not fill the thread pool. */
const concurrent = 2
const waiting = 64
const lookMs = 5000

/** Unknown users take as long as known ones. */
const nobody: PasswordHash = parsePassword(
  `$scrypt$ln=14,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
) as PasswordHash

/** @throws Error with the number of the line; never with what stands in it */
function usersOf(text: string): Map<string, PasswordHash> {
  const users = new Map<string, PasswordHash>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const hash = colon > 0 ? parsePassword(line.slice(colon + 1).trim()) : undefined
    if (!hash) throw new Error(`line ${index + 1} is not name:hash; ${hashHint}`)
    users.set(line.slice(0, colon), hash)
  }
  return users
}

const versionOf = ({ mtimeMs, size, ino }: Stats): string => `${mtimeMs} ${size} ${ino}`

/** RFC 7617 §2: `Basic` and the base64 of `name:password`, in UTF-8 as our challenge says. */
function credentialsOf(field: string): { name: string; password: string } | undefined {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(field)
  if (!match) return undefined
  const text = Buffer.from(match[1], 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}

class BasicAuth implements Filter {
  readonly #context: ThreadContext
  readonly #options: Options
  readonly #own: ReadonlyMap<string, PasswordHash>
  #users: ReadonlyMap<string, PasswordHash>
  #version = ''
  #complained = ''
  /** Names by a keyed hash of the field: the process keeps no password longer than its request. */
  readonly #right = new Recent<string>(remembered)
  readonly #salt = randomBytes(32).toString('hex')
  readonly #gate = new Gate(concurrent, waiting)
  /** A browser sends the same field in six requests at once. */
  readonly #pending = new Map<string, Promise<string | undefined | false>>()
  readonly #refused: ReturnType<ThreadContext['metrics']['counter']>

  constructor(context: ThreadContext, parsed: Options) {
    this.#context = context
    this.#options = parsed
    this.#refused = context.metrics.counter('basic_auth_refused_total', 'Requests without a right password')
    this.#own = new Map(Object.entries(parsed.users).map(([name, text]) => [name, parsePassword(text)!]))
    this.#users = this.#own
    if (parsed.file === undefined) return
    const file = context.resolvePath(parsed.file)
    this.#version = versionOf(statSync(file))
    this.#adopt(readFileSync(file, 'utf8'))
    context.clock.every(lookMs, () => void this.#look(file))
  }

  #adopt(text: string): void {
    this.#users = new Map([...this.#own, ...usersOf(text)])
    this.#right.clear()
  }

  /** A file that cannot be used leaves the users as they were. */
  async #look(file: string): Promise<void> {
    try {
      const found = await stat(file)
      const version = versionOf(found)
      if (version === this.#version) return
      if (found.size > maxFileBytes) throw new Error(`it has more than ${maxFileBytes} bytes`)
      this.#adopt(await readFile(file, 'utf8'))
      this.#version = version
      this.#complained = ''
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error)
      if (cause !== this.#complained)
        this.#context.log.warn('the file of users cannot be used; the former users stay', { file, cause })
      this.#complained = cause
    }
  }

  // HOT
  onRequest(exchange: FilterExchange): void | Promise<void> {
    const { headers } = exchange.request
    const field = headers.get('authorization')
    // Of two fields the backend may read the one that was not checked.
    if (field === undefined || headers.getAll('authorization').length > 1) {
      this.#refuse(exchange)
      return
    }
    const key = hash('sha256', this.#salt + field, 'base64')
    const name = this.#right.get(key, this.#context.clock.now())
    if (name !== undefined) this.#pass(exchange, name)
    else return this.#check(exchange, field, key)
  }

  async #check(exchange: FilterExchange, field: string, key: string): Promise<void> {
    let pending = this.#pending.get(key)
    if (!pending) {
      pending = this.#verify(field, key).finally(() => this.#pending.delete(key))
      this.#pending.set(key, pending)
    }
    const name = await pending
    if (name === false) {
      exchange.respond({ status: 503, headers: { 'Retry-After': '1', 'Cache-Control': 'no-store' } })
    } else if (name === undefined) this.#refuse(exchange)
    else this.#pass(exchange, name)
  }

  /** The name of the user; undefined: it is nobody; false: too many are being checked. */
  async #verify(field: string, key: string): Promise<string | undefined | false> {
    const credentials = credentialsOf(field)
    if (!credentials) return undefined
    const users = this.#users
    const { name, password } = credentials
    const known = users.get(name)
    const right = await this.#gate.run(() => matchesPassword(password, known ?? nobody))
    if (right === undefined) return false
    if (!right || !known) return undefined
    // The file may have changed meanwhile.
    if (users === this.#users) this.#right.set(key, name, this.#context.clock.now() + rememberedMs)
    return name
  }

  #pass(exchange: FilterExchange, name: string): void {
    const { userHeader, forward } = this.#options
    const { headers } = exchange.request
    if (!forward) headers.remove('authorization')
    if (userHeader === undefined) return
    removeLookalikes(headers, [userHeader])
    headers.set(userHeader, Buffer.from(name).toString('latin1'))
  }

  #refuse(exchange: FilterExchange): void {
    this.#refused.add()
    const realm = this.#options.realm.replaceAll(/["\\]/g, '\\$&')
    exchange.respond({
      status: 401,
      headers: {
        'WWW-Authenticate': `Basic realm="${realm}", charset="UTF-8"`,
        'Cache-Control': 'no-store',
      },
      body: 'A user name and password are needed.\n',
    })
  }
}

/**
 * Asks for a user name and password (RFC 7617). Passwords are kept as scrypt hashes, which node:crypto computes off the
 * data threads, two at a time in each; a right one is remembered for five minutes, so that only the first request of a
 * client pays. Where too many wait for that, the answer is 503. Authorization is taken out before the request is
 * forwarded, unless `forward` is set.
 *
 * bcrypt is not taken: in JavaScript it would hold up its data thread, and a native package is more than this is worth.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'basic-auth',
  description: 'Asks for a user name and password.',
  options,
  create: (context, parsed) => new BasicAuth(context, parsed),
})
