/** The main thread's end of one data thread: what was said, what was answered, and whether it still lives. */
import { totalmem } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { ListenerConfig } from '../config/snapshot.ts'
import type { Clock } from '../contracts/plugin.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import { splitDelta } from './delta-parts.ts'
import type { ErrorData, FromThread, PluginCode, ThreadData, ToThread } from './messages.ts'
import { makeDelta } from './snapshot-delta.ts'

export type PrepareReply =
  | { readonly type: 'prepared' }
  | { readonly type: 'refused'; readonly problems: readonly ErrorData[] }
  | { readonly type: 'died' }
  | { readonly type: 'late' }

/** What threads are to serve. */
export interface Target {
  readonly snapshot: ThreadSnapshot
  readonly code: PluginCode
}

/** A thread as the two-phase commit sees it. */
export interface Participant {
  readonly thread: number
  prepare(txn: number, target: Target, timeoutMs: number): Promise<PrepareReply>
  /** Settles when the thread has switched, or has died. False: it did not answer in time. */
  commit(txn: number, target: Target, timeoutMs: number): Promise<boolean>
  /** Settles when nothing of the transaction is left in the thread. False: it did not answer in time. */
  discard(txn: number, timeoutMs: number): Promise<boolean>
  /** For a thread that does not answer: ends it; a successor takes its place. */
  kill(): Promise<void>
}

type Reply = Extract<FromThread, { txn: number }>

export interface LinkEvents {
  message(link: ThreadLink, message: FromThread): void
  error(link: ThreadLink, error: unknown): void
  exit(link: ThreadLink, code: number): void
}

/**
 * Three semi-spaces of 16 MiB, where Node would take 64 MiB each: with those no request was seen to cost less CPU
 * (docs/decisions/0007), and they become resident bit by bit. From 2 GiB on: Node itself takes 32 MiB there, and less below.
 * `--max-semi-space-size` overrides it.
 * @param memory bytes that the process may use
 */
export function heapLimits(memory: number): { readonly maxYoungGenerationSizeMb?: number } {
  return memory < 2 * 1024 ** 3 ? {} : { maxYoungGenerationSizeMb: 48 }
}

export class ThreadLink implements Participant {
  readonly thread: number
  /** In the shared tables. */
  readonly row: number
  readonly exited: Promise<number>
  online = false
  alive = true
  #released = 0
  /** Version of the plugin code it has committed. */
  #code: string | undefined
  /** Every version of a plugin's code that it was handed: no thread can forget a module. */
  readonly #modules = new Set<string>()
  /** What the thread has committed, as it sees it. */
  #base: ThreadSnapshot | undefined
  /** The transaction that was discarded last. */
  #dropped = 0
  #listeners: { of: readonly ListenerConfig[]; seen: readonly ListenerConfig[] } = { of: [], seen: [] }
  readonly #worker: Worker
  readonly #clock: Clock
  readonly #waiting = new Map<string, (reply: Reply | undefined) => void>()

  constructor(entry: URL, data: ThreadData, clock: Clock, events: LinkEvents) {
    this.thread = data.thread
    this.row = data.row
    this.#clock = clock
    // Without a limit of the container the second is 0, or more than there is.
    const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
    this.#worker = new Worker(entry, {
      workerData: data,
      name: `millrace-data-${data.thread}`,
      resourceLimits: heapLimits(memory),
    })
    this.#worker.on('message', (message: FromThread) => this.#receive(message, events))
    this.#worker.on('error', (error) => events.error(this, error))
    this.exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.alive = false
        for (const settle of [...this.#waiting.values()]) settle(undefined)
        events.exit(this, code)
        resolve(code)
      })
    })
  }

  /** Revision that the thread was last told to switch to. */
  get revision(): number | undefined {
    return this.#base?.revision
  }

  /** No exchange of the thread uses a snapshot older than this revision. */
  get released(): number {
    return this.#base ? this.#released : Number.POSITIVE_INFINITY
  }

  /** Versions of plugin code that its memory holds. */
  get modules(): number {
    return this.#modules.size
  }

  send(message: ToThread): void {
    if (this.alive) this.#worker.postMessage(message)
  }

  async prepare(txn: number, target: Target, timeoutMs: number): Promise<PrepareReply> {
    const code = this.#code === target.code.version ? undefined : target.code
    for (const { code: files } of code?.plugins ?? [])
      if (files) this.#modules.add(`${files.entry} ${files.hash}`)
    const { parts, delta } = splitDelta(makeDelta(this.#base, this.#view(target.snapshot)))
    for (const part of parts) {
      this.send({ type: 'part', txn, part })
      const taken = await this.#answer(txn, ['part-taken'], timeoutMs)
      if (!this.alive) return { type: 'died' }
      // Another thread has refused meanwhile: what came after the `discard` would stay.
      if (!taken || this.#dropped === txn) return { type: 'late' }
    }
    this.send({ type: 'prepare', txn, delta, code })
    const reply = await this.#answer(txn, ['prepared', 'refused'], timeoutMs)
    if (!this.alive) return { type: 'died' }
    if (reply?.type === 'prepared' || reply?.type === 'refused') return reply
    return { type: 'late' }
  }

  async commit(txn: number, target: Target, timeoutMs: number): Promise<boolean> {
    this.send({ type: 'commit', txn })
    this.#base = this.#view(target.snapshot)
    this.#code = target.code.version
    const reply = await this.#answer(txn, ['committed'], timeoutMs)
    return reply !== undefined || !this.alive
  }

  async discard(txn: number, timeoutMs: number): Promise<boolean> {
    this.#dropped = txn
    this.send({ type: 'discard', txn })
    const reply = await this.#answer(txn, ['discarded'], timeoutMs)
    return reply !== undefined || !this.alive
  }

  async kill(): Promise<void> {
    await this.#worker.terminate()
    await this.exited
  }

  /** A unix socket has one owner, the first thread: the others are not told of it. */
  #view(snapshot: ThreadSnapshot): ThreadSnapshot {
    if (this.thread === 0) return snapshot
    if (this.#listeners.of !== snapshot.listeners) {
      const seen = snapshot.listeners.filter((listener) => !listener.socketPath)
      this.#listeners = { of: snapshot.listeners, seen }
    }
    return { ...snapshot, listeners: this.#listeners.seen }
  }

  #receive(message: FromThread, events: LinkEvents): void {
    if (message.type === 'online') this.online = true
    if (message.type === 'released') this.#released = message.revision
    if ('txn' in message) this.#waiting.get(`${message.type} ${message.txn}`)?.(message)
    else events.message(this, message)
  }

  /** The first answer of one of the types; undefined when time is over or the thread has died. */
  #answer(txn: number, types: readonly Reply['type'][], timeoutMs: number): Promise<Reply | undefined> {
    if (!this.alive) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const settle = (reply: Reply | undefined): void => {
        timer.cancel()
        for (const type of types) this.#waiting.delete(`${type} ${txn}`)
        resolve(reply)
      }
      const timer = this.#clock.after(timeoutMs, () => settle(undefined))
      for (const type of types) this.#waiting.set(`${type} ${txn}`, settle)
    })
  }
}
