/**
 * One connection to a ZooKeeper server. A client of the package serves for one and no longer: when the connection is lost, so is its
 * session, and another client is made. Nothing of ours lives as long as a session, and so there is no expiry to come through, no
 * watch that came over from before, and no client that is used after it has closed itself.
 */
import type { Clock, MillraceError, Timer } from 'millrace'
import type { Acl, Answer, Client, Driver, Stat } from './zookeeper-driver.ts'
import { AnswerLost, codes, errorOf, storeError } from './zookeeper-errors.ts'
import { Pipe } from './zookeeper-pipe.ts'

export interface Node {
  readonly data: Buffer
  readonly stat: Stat
}

export interface ConnectionListener {
  connected(): void
  /** For good. Not after {@link Connection.lose} was called from outside. */
  lost(error: MillraceError): void
  /** A watch has fired, and is no more. */
  changed(path: string): void
}

export interface Endpoint {
  /** An IP address. */
  readonly host: string
  readonly port: number
  /** For messages. */
  readonly place: string
}

/** What is asked for; servers give from 2 to 20 of their ticks. The client pings after a third without anything to say. */
const sessionMs = 20_000
const persistent = 0
const empty = Buffer.alloc(0)

export class Connection {
  readonly #client: Client
  readonly #place: string
  readonly #pipe: Pipe
  /** Operations under way; called when the connection is lost. */
  readonly #pending = new Set<(error: MillraceError) => void>()
  #hearing: Timer | undefined
  #lost: MillraceError | undefined
  #closed: Promise<void> = Promise.resolve()

  constructor(driver: Driver, { host, port, place }: Endpoint, clock: Clock, listener: ConnectionListener) {
    this.#place = place
    this.#client = new driver()
    const lost = (why: string): void => {
      if (this.#lost) return
      const error = storeError('MR_STORE_UNAVAILABLE', `${place}: ${why}`)
      this.#end(error, () => listener.lost(error))
    }
    const changed = (_client: unknown, path: unknown): void => {
      if (!this.#lost) listener.changed(String(path))
    }
    const connected = (): void => {
      if (this.#lost) return
      this.#hearing = this.#hear(clock, lost)
      listener.connected()
    }
    const left = (): void => {
      if (!this.#lost) this.#pipe.released()
      lost('the client has given the connection up')
    }
    this.#client
      .on('connect', connected)
      .on('connecting', left)
      .on('close', left)
      .on('changed', changed)
      .on('child', changed)
      .on('created', changed)
      .on('deleted', changed)
    this.#pipe = new Pipe(this.#client, host, port, lost)
    this.#pipe.ready((connect) =>
      this.#client.init({ connect, timeout: sessionMs, response_counter_limit: 2 ** 31 - 1 }),
    )
  }

  /** Why it is of no use any more. */
  get problem(): MillraceError | undefined {
    return this.#lost
  }

  /** Resolves when nothing is left of it. */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** Gives it up: what is under way is not known to be done, and nothing more is sent. */
  lose(error: MillraceError): void {
    if (!this.#lost) this.#end(error, () => {})
  }

  #end(error: MillraceError, then: () => void): void {
    this.#lost = error
    this.#hearing?.cancel()
    this.#closed = this.#pipe.close().then(() => {
      const unknown = error instanceof AnswerLost ? error : new AnswerLost(error.message, error.cause)
      for (const end of this.#pending) end(unknown)
      this.#pending.clear()
      then()
    })
  }

  /** Leaves a server that says nothing, before the client does so in its own way (after two thirds of the session's time). */
  #hear(clock: Clock, lost: (why: string) => void): Timer {
    const limitMs = this.#client.timeout / 2
    let heard = this.#pipe.heard
    let since = clock.now()
    return clock.every(limitMs / 5, () =>
      // What has arrived is read first: the loop may have stalled.
      setImmediate(() => {
        if (this.#pipe.heard !== heard) {
          heard = this.#pipe.heard
          since = clock.now()
        } else if (clock.now() - since > limitMs) lost(`nothing was heard for ${Math.round(limitMs)} ms`)
      }),
    )
  }

  async authenticate(user: string, password: string): Promise<void> {
    const { noAuth, authFailed } = codes
    const [rc] = await this.#ask<[]>(
      'logging in',
      (done) => this.#client.add_auth('digest', `${user}:${password}`, done),
      [noAuth, authFailed],
    )
    if (rc !== codes.done)
      throw storeError('MR_STORE_DENIED', `${this.#place}: the credentials of ${user} are refused`)
  }

  /** What is read after it holds whatever was acknowledged to anybody before. */
  async sync(path: string): Promise<void> {
    await this.#ask<[string]>(`sync ${path}`, (done) => this.#client.a_sync(path, done))
  }

  /** @param watch tells the listener when this has changed. The watch stands before it is read; where there is no node there is none
   * @returns undefined where there is no node */
  async get(path: string, watch = false): Promise<Node | undefined> {
    const [rc, stat, data] = await this.#ask<[Stat, Buffer | null]>(
      `get ${path}`,
      (done) => this.#client.a_get(path, watch, done),
      [codes.noNode],
    )
    return rc === codes.done ? { stat, data: data ?? empty } : undefined
  }

  /** @param watch as for {@link get}; of the names, not of what is in them */
  async children(path: string, watch = false): Promise<readonly string[] | undefined> {
    const [rc, names] = await this.#ask<[string[]]>(
      `list ${path}`,
      (done) => this.#client.a_get_children(path, watch, done),
      [codes.noNode],
    )
    return rc === codes.done ? names : undefined
  }

  /** Anybody may read and change what the package creates, until {@link protect}. @returns whether it was not there */
  async create(path: string, data: Buffer): Promise<boolean> {
    const [rc] = await this.#ask<[string]>(
      `create ${path}`,
      (done) => this.#client.a_create(path, data, persistent, done),
      [codes.exists],
    )
    return rc === codes.done
  }

  /** @returns false where the access to it was set before */
  async protect(path: string, acl: readonly Acl[]): Promise<boolean> {
    const [rc] = await this.#ask<[]>(
      `protect ${path}`,
      (done) => this.#client.a_set_acl(path, 0, acl, done),
      [codes.badVersion, codes.noNode],
    )
    return rc === codes.done
  }

  /** @param version -1: whatever it is. @returns undefined where it has another version, or is not there */
  async set(path: string, data: Buffer, version: number): Promise<Stat | undefined> {
    const [rc, stat] = await this.#ask<[Stat]>(
      `set ${path}`,
      (done) => this.#client.a_set(path, data, version, done),
      [codes.badVersion, codes.noNode],
    )
    return rc === codes.done ? stat : undefined
  }

  /** @returns false where it has something in it, and stays */
  async remove(path: string): Promise<boolean> {
    const [rc] = await this.#ask<[]>(`delete ${path}`, (done) => this.#client.a_delete_(path, -1, done), [
      codes.noNode,
      codes.notEmpty,
    ])
    return rc !== codes.notEmpty
  }

  /** @param foreseen codes that are no error */
  #ask<R extends readonly unknown[]>(
    what: string,
    send: (done: Answer<R>) => number,
    foreseen: readonly number[] = [],
  ): Promise<[rc: number, ...results: R]> {
    if (this.#lost) return Promise.reject(storeError('MR_STORE_UNAVAILABLE', this.#lost.message))
    return new Promise((resolve, reject) => {
      this.#pending.add(reject)
      const refused = send((rc, text, ...results) => {
        if (this.#lost) return
        this.#pending.delete(reject)
        if (rc === codes.done || foreseen.includes(rc)) resolve([rc, ...results])
        else reject(errorOf(rc, text, `${this.#place}: ${what}`))
      })
      if (refused === 0) return
      this.#pending.delete(reject)
      reject(storeError('MR_STORE_UNAVAILABLE', `${this.#place}: ${what}: not sent (${refused})`))
    })
  }
}
