/** One connection to a Redis master that knows of each call whether it was sent, and gives none more than its time. */
import type { Redis, RedisOptions } from 'ioredis'
import type { MillraceError, PluginContext, Timer } from 'millrace'
import { AnswerLost, errorOf, isReply, storeError, wordOf } from './redis-errors.ts'

export interface Answer<T> {
  readonly reply: T
  /** `clock.now()` from before it was sent. */
  readonly sentAt: number
}

/** What the server says of itself (INFO); empty where it is not allowed to be asked. */
export type ServerInfo = ReadonlyMap<string, string>

interface LinkOptions {
  readonly make: (options: RedisOptions) => Redis
  readonly driver: RedisOptions
  readonly context: PluginContext
  readonly place: string
  readonly limitMs: number
  /** The connection is there, and leads to a master. */
  onUp?(redis: Redis, info: ServerInfo): void
  onDown?(): void
}

const firstDelayMs = 50
const longestDelayMs = 1000

export class RedisLink {
  readonly #redis: Redis
  readonly #options: LinkOptions
  /** Undefined: not to be used. */
  #info: ServerInfo | undefined
  /** Counts connections. */
  #connection = 0
  #failures = 0
  #watchdog: Timer | undefined
  #closed = false
  #lastError: MillraceError
  /** What the server refused while the connection was made; the driver goes on all the same, on another database maybe. */
  #refusal: Error | undefined
  /** Calls that wait for a connection; told of the outcome of the next attempt. */
  readonly #waiting = new Set<(error?: MillraceError) => void>()
  /** Calls under way; called when the link is closed. */
  readonly #underWay = new Set<() => void>()

  constructor(options: LinkOptions) {
    this.#options = options
    this.#lastError = storeError('MR_STORE_UNAVAILABLE', `${options.place}: there is no connection yet`)
    const delay = (): number => this.#delay()
    this.#redis = options.make({ ...options.driver, retryStrategy: delay, sentinelRetryStrategy: delay })
    quietSentinels(this.#redis)
    this.#redis
      .on('connecting', () => {
        this.#refusal = undefined
      })
      .on('connect', () => this.#hurry())
      .on('ready', () => void this.#greet())
      .on('close', () => this.#down())
      .on('error', (error) => this.#fail(error))
      .on('end', () => this.#again())
  }

  /** Of the server that calls go to now. */
  get info(): ServerInfo {
    return this.#info ?? new Map()
  }

  /**
   * @param send gives commands to the driver at once, all in one go
   * @throws AnswerLost when it was sent and nobody knows what came of it; another MillraceError when nothing was done, nor will be
   */
  async call<T>(send: (redis: Redis) => Promise<T>): Promise<Answer<T>> {
    const { context, limitMs, place } = this.#options
    const until = context.clock.now() + limitMs
    if (!this.#usable) await this.#connected(limitMs)
    if (this.#closed || !this.#usable) throw this.#lastError
    const connection = this.#connection
    const sentAt = context.clock.now()
    const late = (): MillraceError => {
      // What stands in the way of this one stands in the way of all that follow.
      if (connection === this.#connection) this.cut()
      return new AnswerLost(`${place} did not answer within ${limitMs} ms`)
    }
    const reply = await this.#within(Math.max(1, until - sentAt), send(this.#redis), late).catch((error) => {
      throw this.#judge(error)
    })
    return { reply, sentAt }
  }

  /** Drops the connection; another is made. */
  cut(): void {
    this.#redis.stream?.destroy()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#lastError = storeError('MR_STORE_UNAVAILABLE', `${this.#options.place}: the node is being stopped`)
    this.#tell()
    for (const end of this.#underWay) end()
    this.#redis.disconnect()
    this.cut()
  }

  get #usable(): boolean {
    return this.#info !== undefined && this.#redis.status === 'ready' && this.#redis.stream.writable
  }

  /** Waits for the next attempt to connect to come to its end. */
  #connected(limitMs: number): Promise<void> {
    if (this.#closed) return Promise.reject(this.#lastError)
    let told: ((error?: MillraceError) => void) | undefined
    const outcome = new Promise<void>((resolve, reject) => {
      told = (error) => (error ? reject(error) : resolve())
      this.#waiting.add(told)
    })
    const late = (): MillraceError => {
      if (told) this.#waiting.delete(told)
      return this.#closed
        ? this.#lastError
        : storeError(
            'MR_STORE_UNAVAILABLE',
            `${this.#options.place} was not reached within ${limitMs} ms: ${this.#lastError.message}`,
          )
    }
    return this.#within(limitMs, outcome, late)
  }

  #within<T>(ms: number, work: Promise<T>, late: () => MillraceError): Promise<T> {
    return new Promise((resolve, reject) => {
      let over = false
      const finish = (how: () => void): void => {
        if (over) return
        over = true
        timer.cancel()
        this.#underWay.delete(giveUp)
        how()
      }
      const giveUp = (): void => finish(() => reject(late()))
      // An answer that is already there is read first: the loop may have stalled.
      const timer = this.#options.context.clock.after(ms, () => setImmediate(giveUp))
      this.#underWay.add(giveUp)
      work.then(
        (value) => finish(() => resolve(value)),
        (error) => finish(() => reject(error)),
      )
    })
  }

  #judge(error: unknown): MillraceError {
    const { place } = this.#options
    if (isReply(error)) {
      // A master that became a replica does not close its connections by itself.
      if (wordOf(error) === 'READONLY') this.cut()
      return errorOf(error, place)
    }
    if (error instanceof AnswerLost) return error
    const text = error instanceof Error ? error.message : String(error)
    if (text.startsWith('Stream isn')) return errorOf(error, place)
    return new AnswerLost(`${place}: the connection was lost before the answer: ${text}`, error)
  }

  /** A server that takes the connection and says nothing more is left; the driver would wait for ever. */
  #hurry(): void {
    this.#watchdog?.cancel()
    this.#watchdog = this.#options.context.clock.after(this.#options.limitMs, () =>
      setImmediate(() => {
        if (this.#info === undefined) this.cut()
      }),
    )
  }

  /** Learns who has answered, before anything else is sent. */
  async #greet(): Promise<void> {
    const connection = ++this.#connection
    const here = (): boolean => connection === this.#connection && !this.#closed
    try {
      if (this.#refusal) throw this.#refusal
      const info = parseInfo(await this.#asked())
      if (!here()) return
      if (info.get('loading') === '1') throw new Error('it is loading its data')
      if ((info.get('role') ?? 'master') !== 'master')
        throw new Error('it is a replica, and only the master is read from and written to')
      this.#up(info)
    } catch (error) {
      if (!here()) return
      this.#fail(error)
      this.cut()
    }
  }

  async #asked(): Promise<string> {
    try {
      return await this.#redis.info()
    } catch (error) {
      if (isReply(error) && wordOf(error) === 'NOPERM') return ''
      throw error
    }
  }

  #up(info: ServerInfo): void {
    this.#watchdog?.cancel()
    this.#info = info
    this.#failures = 0
    for (const told of this.#waiting) told()
    this.#waiting.clear()
    this.#options.onUp?.(this.#redis, info)
  }

  #down(): void {
    this.#watchdog?.cancel()
    const was = this.#info
    this.#info = undefined
    this.#connection++
    if (this.#closed) return
    if (was) {
      this.#lastError = storeError('MR_STORE_UNAVAILABLE', `${this.#options.place}: the connection was lost`)
      this.#options.onDown?.()
    } else this.#tell()
  }

  #fail(error: unknown): void {
    if (isReply(error)) this.#refusal = error
    if (this.#closed) return
    this.#lastError = errorOf(error, this.#options.place)
    if (this.#info === undefined) this.#tell()
  }

  #tell(): void {
    for (const told of this.#waiting) told(this.#lastError)
    this.#waiting.clear()
  }

  /** Exponential with jitter, from the last time that it worked. */
  #delay(): number {
    const longest = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(this.#failures++, 10))
    return Math.ceil(longest * (0.5 + this.#options.context.random() / 2))
  }

  /** The driver has given up (it could not even begin to connect). We have not. */
  #again(): void {
    if (this.#closed) return
    this.#down()
    this.#options.context.clock.after(longestDelayMs, () => {
      if (!this.#closed && this.#redis.status === 'end') this.#redis.connect().catch(() => {})
    })
  }
}

interface SentinelConnector {
  connectToSentinel?(...given: unknown[]): Redis
}

/** Of a Sentinel that is away the driver writes to standard error, each time that it listens for failovers there: nobody hears the
 * `error` of that connection. The others are listened to all the same. */
function quietSentinels(redis: Redis): void {
  const { connector } = redis as unknown as { readonly connector?: SentinelConnector }
  const connect = connector?.connectToSentinel
  if (!connector || !connect) return
  connector.connectToSentinel = (...given) => connect.apply(connector, given).on('error', () => {})
}

function parseInfo(text: string): ServerInfo {
  const pairs = text.split('\r\n').flatMap((line): [string, string][] => {
    const colon = line.indexOf(':')
    return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : []
  })
  return new Map(pairs)
}
