/** The main thread's side of the database's thread: starts it at the first call, gives each call its limit of time. */

import { Worker } from 'node:worker_threads'
import { MillraceError, type PluginContext } from 'millrace'
import {
  type CallMessage,
  type Change,
  type DatabaseCalls,
  type FaultData,
  type FromDatabase,
  monotonicMs,
  type Operation,
  type ThreadData,
} from './messages.ts'

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const entry = new URL(`./database-thread${extension}`, import.meta.url)

/** The thread refuses what it comes to later than this share of the limit: so its refusal, which is certain, comes first. */
const threadShare = 0.9
/** How long a stop waits for the call under way, and for the file to be closed. */
const stopMs = 3000
/** A thread that died is not started again at once. */
const reviveMs = 1000

export type Outcome<T> =
  | { readonly value: T }
  | { readonly fault: MillraceError; readonly uncertain: boolean }

interface Pending {
  readonly operation: Operation
  settle(outcome: Outcome<unknown>): void
}

export interface ChangeListener {
  changes(changes: readonly Change[]): void
  bus(state: 'up' | 'down'): void
}

export class DatabaseThread {
  readonly #context: PluginContext
  readonly #path: string
  readonly #fleet: string
  readonly #timeoutMs: number
  readonly #listener: ChangeListener
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #calls = 0
  #watched = false
  #stopped = false

  constructor(
    context: PluginContext & { readonly fleet: string },
    path: string,
    timeoutMs: number,
    listener: ChangeListener,
  ) {
    this.#context = context
    this.#path = path
    this.#fleet = context.fleet
    this.#timeoutMs = timeoutMs
    this.#listener = listener
    context.defer(() => this.#end())
  }

  /** @throws MillraceError */
  async call<O extends Operation>(
    operation: O,
    ...given: Parameters<DatabaseCalls[O]>
  ): Promise<ReturnType<DatabaseCalls[O]>> {
    const outcome = await this.ask(operation, ...given)
    if ('fault' in outcome) throw outcome.fault
    return outcome.value
  }

  /** As `call`, for who must know whether a failed write may have been done. */
  ask<O extends Operation>(
    operation: O,
    ...given: Parameters<DatabaseCalls[O]>
  ): Promise<Outcome<ReturnType<DatabaseCalls[O]>>> {
    if (this.#stopped || this.#context.signal.aborted)
      return Promise.resolve(failed('the store has been stopped'))
    const id = ++this.#calls
    return new Promise((resolve) => {
      const late = `${this.#path}: no answer within ${this.#timeoutMs} ms`
      const timer = this.#context.clock.after(this.#timeoutMs, () => settle(failed(late, true)))
      const settle = (outcome: Outcome<unknown>): void => {
        timer.cancel()
        this.#pending.delete(id)
        resolve(outcome as Outcome<ReturnType<DatabaseCalls[O]>>)
      }
      this.#pending.set(id, { operation, settle })
      const deadline = monotonicMs() + this.#timeoutMs * threadShare
      const message: CallMessage = { id, operation, given, deadline }
      this.#thread().postMessage(message)
    })
  }

  /** Changes are told from when this resolves until `unwatch`. */
  async watch(): Promise<void> {
    this.#watched = true
    await this.call('watch')
  }

  unwatch(): void {
    this.#watched = false
    if (this.#worker) void this.ask('unwatch')
  }

  #thread(): Worker {
    if (this.#worker) return this.#worker
    const workerData: ThreadData = { path: this.#path, fleet: this.#fleet }
    const worker = new Worker(entry, { workerData, name: 'millrace-store' })
    this.#worker = worker
    worker.on('message', (message: FromDatabase) => this.#receive(message))
    worker.on('error', (error) =>
      this.#context.log.error('the thread of the store died', { error: error.message }),
    )
    this.#exited = new Promise((resolve) =>
      worker.on('exit', () => {
        this.#gone()
        resolve(undefined)
      }),
    )
    return worker
  }

  #receive(message: FromDatabase): void {
    switch (message.type) {
      case 'answer':
        this.#pending.get(message.id)?.settle({ value: message.value })
        return
      case 'refusal':
        this.#pending.get(message.id)?.settle(refusal(message.fault))
        return
      case 'changes':
        this.#listener.changes(message.changes)
        return
      case 'bus':
        if (message.state === 'down')
          this.#context.log.warn('the store cannot be watched', { reason: message.reason })
        this.#listener.bus(message.state)
    }
  }

  /** Nobody knows how far it came with what it had been asked. */
  #gone(): void {
    this.#worker = undefined
    for (const { settle } of [...this.#pending.values()])
      settle(failed(`${this.#path}: the thread of the store ended`, true))
    if (!this.#watched || this.#stopped) return
    this.#listener.bus('down')
    this.#context.clock.after(reviveMs, () => this.#revive())
  }

  #revive(): void {
    if (!this.#watched || this.#stopped) return
    this.watch().then(
      () => this.#listener.bus('up'),
      () => this.#context.clock.after(reviveMs, () => this.#revive()),
    )
  }

  async #end(): Promise<void> {
    this.#stopped = true
    const worker = this.#worker
    // A write that is under way is told how it ended; all else has nothing to wait for.
    for (const { operation, settle } of [...this.#pending.values()])
      if (operation !== 'put') settle(failed('the store is being stopped'))
    if (!worker) return
    worker.postMessage('stop')
    await this.#within(this.#exited, stopMs)
    if (this.#worker) await worker.terminate()
  }

  #within(work: Promise<unknown>, ms: number): Promise<unknown> {
    return new Promise((resolve) => {
      const timer = this.#context.clock.after(ms, () => resolve(undefined))
      void work.then(() => {
        timer.cancel()
        resolve(undefined)
      })
    })
  }
}

const failed = (what: string, uncertain = false) => ({
  fault: new MillraceError('MR_STORE_UNAVAILABLE', what),
  uncertain,
})

const refusal = ({ code, message, uncertain }: FaultData) => ({
  fault: new MillraceError(code, message),
  uncertain,
})
