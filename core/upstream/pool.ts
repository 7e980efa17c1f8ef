/**
 * Connections of one thread to one backend. Free ones are a stack (the last used is the warmest), exchanges that find none
 * wait in arrival order and take whichever connection comes first: one that is given back or one that is newly open.
 */
import { type Waiter, WaitList } from './wait-list.ts'

/** What a pool keeps. */
export interface PoolConnection {
  /** May carry one more exchange beside those it carries (pipelining). */
  readonly canShare: boolean
  /** Still fit for an exchange. */
  readonly usable: boolean
  /** Becomes free: stops reading deadlines of exchanges, starts the idle one. */
  park(idleMs: number): void
  close(): void
}

export interface PoolSettings {
  /** Connections of this thread at most. */
  max: number
  idleMs: number
}

export interface PoolOwner<C extends PoolConnection> {
  /** Opens a connection; it must call `opened` or `failed` of the pool once, later. */
  open(): C
  /** A place has become free and nobody was waiting here for it. `shared`: behind another exchange on its connection. */
  onPlace(shared: boolean): void
}

export class Pool<C extends PoolConnection> {
  settings: PoolSettings
  readonly #owner: PoolOwner<C>
  readonly #idle: C[] = []
  /** Busy connections that may take one more exchange each. */
  readonly #shared: C[] = []
  readonly #waiting = new WaitList<C>()
  /** All connections that are open or being opened. */
  readonly #all = new Set<C>()
  #connecting = 0
  /** Opened under settings that no longer hold: closed when they become free. */
  #outdated: Set<C> | undefined = undefined
  #retired = false
  /** [slot] cells of the shared table that this thread owns. */
  readonly #openCells: Int32Array
  readonly #idleCells: Int32Array
  readonly #slot: number

  constructor(owner: PoolOwner<C>, settings: PoolSettings, open: Int32Array, idle: Int32Array, slot: number) {
    this.#owner = owner
    this.settings = settings
    this.#openCells = open
    this.#idleCells = idle
    this.#slot = slot
  }

  /** HOT True when an exchange would have to wait for another one to end. */
  get full(): boolean {
    return this.#idle.length === 0 && this.#all.size >= this.settings.max && this.#shared.length === 0
  }

  get openCount(): number {
    return this.#all.size
  }

  /** HOT A connection that can be written to now, or undefined. */
  take(mayShare: boolean): C | undefined {
    if (mayShare) {
      while (this.#shared.length > 0) {
        const shared = this.#shared[this.#shared.length - 1]
        if (shared.usable && shared.canShare) return shared
        this.#shared.pop()
      }
    }
    while (this.#idle.length > 0) {
      const connection = this.#idle.pop()!
      this.#idleCells[this.#slot] = this.#idle.length
      if (connection.usable) return connection
    }
    return undefined
  }

  /** HOT A connection has room beside its exchanges. */
  share(connection: C): void {
    if (!this.#shared.includes(connection)) this.#shared.push(connection)
    const first = this.#waiting.first
    if (first === undefined) this.#owner.onPlace(true)
    else if (first.mayShare) {
      this.#waiting.remove(first)
      first.granted(connection)
    }
  }

  unshare(connection: C): void {
    const index = this.#shared.indexOf(connection)
    if (index >= 0) this.#shared.splice(index, 1)
  }

  /** Waits for a connection, opening one where the limit allows. False: the pool is full, the caller queues elsewhere. */
  wait(waiter: Waiter<C>): boolean {
    if (this.#all.size >= this.settings.max && this.#waiting.length >= this.#connecting) return false
    this.#waiting.push(waiter)
    if (this.#connecting < this.#waiting.length && this.#all.size < this.settings.max) this.#connect()
    return true
  }

  #connect(): void {
    this.#connecting++
    this.#all.add(this.#owner.open())
    this.#openCells[this.#slot] = this.#all.size
  }

  cancel(waiter: Waiter<C>): void {
    this.#waiting.remove(waiter)
  }

  /** A connection that was being opened is ready. */
  opened(connection: C): void {
    this.#connecting--
    this.release(connection)
  }

  /** A connection could not be opened. */
  failed(connection: C, error: unknown): void {
    this.#connecting--
    this.#remove(connection)
    // One attempt, one victim; those who wait beyond the attempts under way would wait for nothing.
    if (this.#waiting.length > this.#connecting) this.#waiting.shift()?.refused(error)
    this.#owner.onPlace(false)
  }

  /** HOT A connection has ended its last exchange and is fit for another. */
  release(connection: C): void {
    if (this.#outdated?.has(connection)) {
      connection.close()
      return
    }
    if (this.#waiting.length > 0) {
      this.#waiting.shift()!.granted(connection)
      return
    }
    if (this.#retired || this.#all.size > this.settings.max) {
      connection.close()
      return
    }
    this.#idle.push(connection)
    this.#idleCells[this.#slot] = this.#idle.length
    connection.park(this.settings.idleMs)
    this.#owner.onPlace(false)
  }

  /** A connection that was open is gone. */
  closed(connection: C): void {
    const index = this.#idle.indexOf(connection)
    if (index >= 0) {
      this.#idle.splice(index, 1)
      this.#idleCells[this.#slot] = this.#idle.length
    }
    this.#remove(connection)
    if (this.#waiting.length > this.#connecting && this.#all.size < this.settings.max) this.#connect()
    else this.#owner.onPlace(false)
  }

  #remove(connection: C): void {
    this.unshare(connection)
    this.#outdated?.delete(connection)
    this.#all.delete(connection)
    this.#openCells[this.#slot] = this.#all.size
  }

  /** Closes what is free now; what is busy is closed when its exchange ends. Pools keep working for old snapshots. */
  retire(): void {
    this.#retired = true
    this.closeIdle()
  }

  revive(): void {
    this.#retired = false
  }

  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close()
    this.#idleCells[this.#slot] = 0
  }

  /** The next exchange gets a new connection; those that are busy or being opened serve whom they serve. */
  renew(): void {
    this.closeIdle()
    this.#shared.length = 0
    this.#outdated = new Set(this.#all)
  }

  /** Every connection, for the end of the thread. */
  destroy(): void {
    this.#retired = true
    for (const connection of [...this.#all]) connection.close()
  }
}
