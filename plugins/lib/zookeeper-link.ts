/** Keeps a connection to the ensemble, whatever happens to servers, and gives no call more than its time. */
import type { MillraceError, PluginContext } from 'millrace'
import { Connection } from './zookeeper-connection.ts'
import type { Driver } from './zookeeper-driver.ts'
import { AnswerLost, storeError } from './zookeeper-errors.ts'
import type { Server, Target } from './zookeeper-options.ts'
import { findServer } from './zookeeper-servers.ts'

interface LinkOptions {
  readonly driver: Driver
  readonly context: PluginContext
  readonly target: Target
  readonly limitMs: number
  /** There is a connection, and what is read over it is at least as new as whatever was acknowledged before. */
  onUp(connection: Connection): void
  onDown(): void
  /** A watch has fired. */
  onChange(path: string): void
}

const firstDelayMs = 50
const longestDelayMs = 1000

export class Link {
  readonly #options: LinkOptions
  /** The one that calls go over. */
  #connection: Connection | undefined
  /** The one that is being made. */
  #opening: Connection | undefined
  readonly #closing = new Set<Promise<void>>()
  #failures = 0
  #closed = false
  #lastError: MillraceError
  /** Calls that wait for a connection; told how the next attempt ends. */
  readonly #waiting = new Set<(error?: MillraceError) => void>()

  constructor(options: LinkOptions) {
    this.#options = options
    this.#lastError = storeError(
      'MR_STORE_UNAVAILABLE',
      `${options.target.place}: there is no connection yet`,
    )
  }

  start(): void {
    void this.#attempt()
  }

  /**
   * @param work sends nothing over anything but this connection. When its time is over the connection is lost, so that nothing is
   *   sent later
   * @throws AnswerLost when something was sent and nobody knows what came of it
   */
  async call<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const { context, limitMs, target } = this.#options
    const until = context.clock.now() + limitMs
    if (!this.#connection || this.#connection.problem) await this.#connected(limitMs)
    const connection = this.#connection
    if (!connection) throw this.#lastError
    return this.#within(Math.max(1, until - context.clock.now()), work(connection), () => {
      const error = new AnswerLost(`${target.place} did not answer within ${limitMs} ms`)
      // What stands in the way of this one stands in the way of all that follow.
      this.drop(connection, error)
      return error
    })
  }

  /** Gives a connection up; another is made. */
  drop(connection: Connection, error: MillraceError): void {
    this.#lose(connection, error)
    if (connection === this.#connection) this.#down(error)
  }

  /** Resolves when nothing is left. */
  async close(): Promise<void> {
    this.#closed = true
    this.#lastError = storeError(
      'MR_STORE_UNAVAILABLE',
      `${this.#options.target.place}: the node is being stopped`,
    )
    this.#tell(this.#lastError)
    for (const connection of [this.#connection, this.#opening])
      if (connection) this.#lose(connection, this.#lastError)
    this.#connection = undefined
    await Promise.all(this.#closing)
  }

  #lose(connection: Connection, error: MillraceError): void {
    connection.lose(error)
    const { closed } = connection
    this.#closing.add(closed)
    void closed.then(() => this.#closing.delete(closed))
  }

  async #attempt(): Promise<void> {
    const { context, target, limitMs } = this.#options
    try {
      const server = await findServer(target.servers, context, limitMs)
      if (this.#closed) return
      const connection = await this.#open(server)
      if (this.#closed) return this.#lose(connection, this.#lastError)
      // It may have been lost since it answered.
      if (connection.problem) throw connection.problem
      this.#up(connection)
    } catch (error) {
      if (!this.#closed) this.#failed(error)
    }
  }

  /** A connection that has answered. */
  #open(server: Server): Promise<Connection> {
    const { context, driver, target, limitMs } = this.#options
    const { place } = target
    const opened = new Promise<Connection>((resolve, reject) => {
      const connection = new Connection(driver, { ...server, place }, context.clock, {
        connected: () => void this.#greet(connection).then(() => resolve(connection), reject),
        lost: (error) => {
          this.#lose(connection, error)
          if (connection === this.#connection) this.#down(error)
          else reject(error)
        },
        changed: (path) => this.#options.onChange(path),
      })
      this.#opening = connection
    })
    const late = (): MillraceError =>
      storeError('MR_STORE_UNAVAILABLE', `${place}: ${server.host} began no session within ${limitMs} ms`)
    return this.#within(limitMs, opened, late).catch((error) => {
      if (this.#opening) this.#lose(this.#opening, error)
      throw error
    })
  }

  /** A server may lag behind what this node has seen elsewhere, or be cut off from the others: then this does not come back. */
  async #greet(connection: Connection): Promise<void> {
    const { login } = this.#options.target
    if (login) await connection.authenticate(login.user, login.password)
    await connection.sync('/')
  }

  #up(connection: Connection): void {
    this.#opening = undefined
    this.#connection = connection
    this.#failures = 0
    for (const told of this.#waiting) told()
    this.#waiting.clear()
    this.#options.onUp(connection)
  }

  #down(error: MillraceError): void {
    this.#connection = undefined
    this.#lastError = error
    if (this.#closed) return
    this.#options.onDown()
    this.#later()
  }

  #failed(error: unknown): void {
    this.#opening = undefined
    this.#lastError = this.#errorOf(error)
    this.#tell(this.#lastError)
    this.#later()
  }

  #errorOf(error: unknown): MillraceError {
    const { place } = this.#options.target
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('MR_STORE_'))
      return storeError(error.code as MillraceError['code'], error.message, error.cause)
    const text = error instanceof Error ? error.message : String(error)
    return storeError('MR_STORE_UNAVAILABLE', `${place} cannot be asked: ${text}`, error)
  }

  #tell(error: MillraceError): void {
    for (const told of this.#waiting) told(error)
    this.#waiting.clear()
  }

  /** Exponential with jitter, from the last time that it worked. */
  #later(): void {
    const { context } = this.#options
    const longest = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(this.#failures++, 10))
    context.clock.after(longest * (0.5 + context.random() / 2), () => void this.#attempt())
  }

  /** Waits for the attempt to connect that is under way, or the next. */
  #connected(limitMs: number): Promise<void> {
    if (this.#closed) return Promise.reject(this.#lastError)
    let told: ((error?: MillraceError) => void) | undefined
    const outcome = new Promise<void>((resolve, reject) => {
      told = (error) => (error ? reject(error) : resolve())
      this.#waiting.add(told)
    })
    return this.#within(limitMs, outcome, () => {
      if (told) this.#waiting.delete(told)
      const { place } = this.#options.target
      const why = this.#lastError.message
      return storeError('MR_STORE_UNAVAILABLE', `${place} was not reached within ${limitMs} ms: ${why}`)
    })
  }

  #within<T>(ms: number, work: Promise<T>, late: () => MillraceError): Promise<T> {
    return new Promise((resolve, reject) => {
      let over = false
      const finish = (how: () => void): void => {
        if (over) return
        over = true
        timer.cancel()
        how()
      }
      // An answer that is already there is read first: the loop may have stalled.
      const timer = this.#options.context.clock.after(ms, () =>
        setImmediate(() => finish(() => reject(late()))),
      )
      work.then(
        (value) => finish(() => resolve(value)),
        (error) => finish(() => reject(error)),
      )
    })
  }
}
