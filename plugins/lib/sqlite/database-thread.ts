/**
 * The thread that has the database: SQLite is synchronous, and a sync to the disk or another process's lock must not hold up
 * what else the process does.
 * It answers calls, and tells of changes, its own and others'.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import {
  changesSince,
  getDocument,
  getRevision,
  knownLineage,
  lastChange,
  lineageOf,
  listHeads,
  listHistory,
  listUnannounced,
  markAnnounced,
  putDocument,
} from './documents.ts'
import { faultOf, StoreFault } from './fault.ts'
import { Leases } from './leases.ts'
import {
  type CallMessage,
  type DatabaseCalls,
  type FromDatabase,
  monotonicMs,
  type ThreadData,
  type ToDatabase,
} from './messages.ts'
import { type Connection, StoreFile } from './store-file.ts'

/** SQLite tells nobody of another process's commits; asking costs 2.5 µs. */
const pollMs = 20
/** How long a call waits before it looks again whether the file is free. */
const retryMs = 5

/** Tells which documents have been written. */
class ChangeWatch {
  readonly #file: StoreFile
  readonly #fleet: string
  readonly #tell: (message: FromDatabase) => void
  #timer: NodeJS.Timeout | undefined
  #version = ''
  #last = 0
  #state: 'up' | 'down' = 'down'

  constructor(file: StoreFile, fleet: string, tell: (message: FromDatabase) => void) {
    this.#file = file
    this.#fleet = fleet
    this.#tell = tell
  }

  /** Changes are told from now on. @throws StoreFault */
  start(): void {
    if (this.#timer) {
      this.poll(true)
      if (this.#state === 'down')
        throw new StoreFault('MR_STORE_UNAVAILABLE', 'the file cannot be watched now')
      return
    }
    this.#last = this.#file.transact('read', (at) => lastChange(at, this.#fleet))
    this.#state = 'up'
    this.#timer = setInterval(() => this.poll(), pollMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#state = 'down'
  }

  /** @param wrote this connection has committed, which its own data version does not show */
  poll(wrote = false): void {
    if (!this.#timer) return
    try {
      const version = this.#file.version()
      if (version === this.#version && !wrote && this.#state === 'up') return
      const found = this.#file.transact('read', (at) => changesSince(at, this.#fleet, this.#last))
      this.#version = version
      this.#last = found.last
      this.#bus('up', '')
      if (found.changes.length > 0) this.#tell({ type: 'changes', changes: found.changes })
    } catch (error) {
      // Busy: the next poll will tell.
      if (!(error instanceof StoreFault && error.busy)) this.#bus('down', (error as Error).message)
    }
  }

  #bus(state: 'up' | 'down', reason: string): void {
    if (state === this.#state) return
    this.#state = state
    this.#tell({ type: 'bus', state, reason })
  }
}

class Database {
  readonly #file: StoreFile
  readonly #watch: ChangeWatch
  readonly #calls: DatabaseCalls

  constructor({ path, fleet }: ThreadData, tell: (message: FromDatabase) => void) {
    this.#file = new StoreFile(path)
    this.#watch = new ChangeWatch(this.#file, fleet, tell)
    this.#calls = this.#callsOf(fleet, new Leases(fleet))
  }

  /** Runs a call. @throws StoreFault */
  call({ operation, given }: CallMessage): unknown {
    return (this.#calls[operation] as (...given: readonly unknown[]) => unknown)(...given)
  }

  /** After the answer, which is waited for. */
  afterwards({ operation }: CallMessage): void {
    if (operation === 'put') this.#watch.poll(true)
  }

  close(): void {
    this.#watch.stop()
    this.#file.close()
  }

  #callsOf(fleet: string, leases: Leases): DatabaseCalls {
    const read = <T>(work: (at: Connection) => T): T => this.#file.transact('read', work)
    const write = <T>(work: (at: Connection) => T): T => this.#file.transact('write', work)
    return {
      lineage: () => read((at) => knownLineage(at, fleet)) ?? write((at) => lineageOf(at, fleet)),
      get: (document) => read((at) => getDocument(at, fleet, document)),
      heads: (prefix) => read((at) => listHeads(at, fleet, prefix)),
      put: (given) => write((at) => putDocument(at, fleet, given)),
      history: (document, before, limit) => read((at) => listHistory(at, fleet, document, before, limit)),
      revision: (document, number, id) => read((at) => getRevision(at, fleet, document, number, id)),
      unannounced: () => read((at) => listUnannounced(at, fleet)),
      markAnnounced: (document, number, id) =>
        write((at) => markAnnounced(at, fleet, document, { number, id })),
      lease: (...given) => write((at) => leases.take(at, ...given)),
      renew: (name, token, ttlMs) => write((at) => leases.renew(at, name, token, ttlMs)),
      release: (name, token) => write((at) => leases.release(at, name, token)),
      leases: (prefix) => read((at) => leases.list(at, prefix)),
      watch: () => this.#watch.start(),
      unwatch: () => this.#watch.stop(),
    }
  }
}

/** Bytes of a document are handed over, not copied. */
function bytesIn(value: unknown): ArrayBuffer[] {
  const bytes = (value as { value?: unknown } | null | undefined)?.value
  return bytes instanceof Uint8Array ? [bytes.buffer as ArrayBuffer] : []
}

/** Answers calls. One that finds the file locked is tried again, and others go before it: reads need no lock. */
class Service {
  readonly #port: MessagePort
  readonly #path: string
  readonly #database: Database
  readonly #waiting = new Map<CallMessage, NodeJS.Timeout>()

  constructor(port: MessagePort, data: ThreadData) {
    this.#port = port
    this.#path = data.path
    this.#database = new Database(data, (message) => port.postMessage(message))
    port.on('message', (message: ToDatabase) => {
      if (message === 'stop') this.#stop()
      else if (monotonicMs() > message.deadline)
        this.#refuse(message, this.#fault('came to the call too late'))
      else this.#answer(message)
    })
  }

  #answer(call: CallMessage): void {
    this.#waiting.delete(call)
    try {
      const value = this.#database.call(call)
      const answer: FromDatabase = { type: 'answer', id: call.id, value }
      this.#port.postMessage(answer, bytesIn(value))
    } catch (error) {
      const fault = faultOf(error, this.#path, false)
      if (fault.busy && monotonicMs() < call.deadline)
        this.#waiting.set(
          call,
          setTimeout(() => this.#answer(call), retryMs),
        )
      else this.#refuse(call, fault)
      return
    }
    this.#database.afterwards(call)
  }

  #refuse({ id }: CallMessage, { code, message, uncertain }: StoreFault): void {
    const refusal: FromDatabase = { type: 'refusal', id, fault: { code, message, uncertain } }
    this.#port.postMessage(refusal)
  }

  #stop(): void {
    for (const [call, timer] of this.#waiting) {
      clearTimeout(timer)
      this.#refuse(call, this.#fault('is being stopped'))
    }
    this.#database.close()
    this.#port.close()
  }

  #fault(what: string): StoreFault {
    return new StoreFault('MR_STORE_UNAVAILABLE', `${this.#path}: the thread of the store ${what}`)
  }
}

if (parentPort) new Service(parentPort, workerData as ThreadData)
