/**
 * Hints from ZooKeeper's watches. A watch fires once; it is armed again by the call that reads what has changed, before that is read.
 * One stands on the list of documents, one on each document that is wanted. Shared by all listeners of an instance.
 */
import type { MillraceError, PluginContext, RevisionRef, Timer, WatchListener } from 'millrace'
import type { Connection } from './zookeeper-connection.ts'
import { storeError } from './zookeeper-errors.ts'
import { plainName, type Tree } from './zookeeper-tree.ts'

interface Watcher {
  readonly prefixes: readonly string[]
  readonly listener: WatchListener
  up: boolean
}

interface WatchOptions {
  readonly tree: Tree
  readonly context: PluginContext
  /** The head of a document was read. @returns its revision; undefined: it cannot be read */
  heard(connection: Connection, document: string, data: Buffer): RevisionRef | undefined
  /** Gives a connection up that has gone dead; {@link Watches.down} follows. */
  drop(connection: Connection, error: MillraceError): void
}

/**
 * How often it is proved that what is committed reaches us, and how long that may take. A server that is cut off from the others
 * goes on answering pings and reads, and fires no watch.
 */
const proofEveryMs = 1000
const proofLimitMs = 3000
const retryMs = 1000

export class Watches {
  readonly #options: WatchOptions
  readonly #watchers = new Set<Watcher>()
  #connection: Connection | undefined
  /** Documents with a watch, over this connection. */
  readonly #armed = new Set<string>()
  #arming = false
  #timer: Timer | undefined
  /** What was logged since it was up. */
  #complaint = ''
  #closed = false

  constructor(options: WatchOptions) {
    this.#options = options
  }

  add(prefixes: readonly string[], listener: WatchListener): { close(): void } {
    const watcher: Watcher = { prefixes: [...prefixes], listener, up: false }
    this.#watchers.add(watcher)
    queueMicrotask(() => void this.#arm())
    return { close: () => void this.#watchers.delete(watcher) }
  }

  up(connection: Connection): void {
    this.#connection = connection
    this.#armed.clear()
    void this.#arm()
  }

  down(): void {
    this.#connection = undefined
    this.#timer?.cancel()
    for (const watcher of this.#watchers)
      if (watcher.up) {
        watcher.up = false
        watcher.listener.bus('down')
      }
  }

  /** Nothing is told any more. */
  close(): void {
    this.#closed = true
    this.#watchers.clear()
    this.#timer?.cancel()
  }

  /** A watch has fired. */
  fired(path: string): void {
    const { documents } = this.#options.tree
    const connection = this.#connection
    if (!connection || !path.startsWith(documents)) return
    const work =
      path === documents
        ? this.#cover(connection)
        : this.#again(connection, plainName(path.slice(documents.length + 1)))
    void work.catch((error: unknown) => this.#failed(connection, error))
  }

  async #again(connection: Connection, document: string): Promise<void> {
    this.#armed.delete(document)
    await this.#read(connection, document)
  }

  /** Watches what the listeners want, and tells those that were not up that they are. */
  async #arm(): Promise<void> {
    const connection = this.#connection
    if (!connection || this.#arming || this.#closed) return
    this.#arming = true
    try {
      for (;;) {
        const waiting = [...this.#watchers].filter(({ up }) => !up)
        if (waiting.length === 0 || connection !== this.#connection) break
        if ((await this.#options.tree.lineage(connection)) === undefined)
          await this.#options.tree.prepare(connection)
        await this.#cover(connection)
        if (connection !== this.#connection) break
        this.#raise(connection, waiting)
      }
    } catch (error) {
      this.#failed(connection, error)
    } finally {
      this.#arming = false
    }
    if (this.#connection && this.#connection !== connection) void this.#arm()
  }

  #raise(connection: Connection, waiting: readonly Watcher[]): void {
    for (const watcher of waiting)
      if (this.#watchers.has(watcher)) {
        watcher.up = true
        watcher.listener.bus('up')
      }
    this.#complaint = ''
    this.#proveLater(connection)
  }

  /** Puts a watch on every document that is wanted and has none. */
  async #cover(connection: Connection): Promise<void> {
    const { documents } = this.#options.tree
    const nodes = await connection.children(documents, true)
    if (!nodes) throw storeError('MR_STORE_UNAVAILABLE', `${documents} is missing`)
    const wanted = nodes.map(plainName).filter((name) => !this.#armed.has(name) && this.#isWanted(name))
    await Promise.all(wanted.map((name) => this.#read(connection, name)))
  }

  /** Arms and reads. Of what was there before a listener was up, nothing is told: its reader looks for itself. */
  async #read(connection: Connection, document: string): Promise<void> {
    if (this.#armed.has(document) || !this.#isWanted(document)) return
    this.#armed.add(document)
    const node = await connection.get(this.#options.tree.document(document), true)
    if (connection !== this.#connection) return
    if (!node) return void this.#armed.delete(document)
    // Empty: it is about to be written for the first time.
    if (node.data.length > 0) this.#hint(document, this.#options.heard(connection, document, node.data))
  }

  #hint(document: string, revision: RevisionRef | undefined): void {
    for (const { prefixes, listener, up } of this.#watchers)
      if (up && wants(prefixes, document)) listener.hint(document, revision)
  }

  #isWanted(document: string): boolean {
    for (const { prefixes } of this.#watchers) if (wants(prefixes, document)) return true
    return false
  }

  #proveLater(connection: Connection): void {
    this.#timer?.cancel()
    this.#timer = this.#options.context.clock.after(proofEveryMs, () => this.#prove(connection))
  }

  #prove(connection: Connection): void {
    if (this.#watchers.size === 0 || connection !== this.#connection) return
    const { context, tree } = this.#options
    const proof = { over: false }
    this.#timer = context.clock.after(proofLimitMs, () => setImmediate(() => this.#dead(connection, proof)))
    connection.sync(tree.root).then(
      () => {
        proof.over = true
        if (connection === this.#connection && !this.#closed) this.#proveLater(connection)
      },
      // It is lost: the link says so.
      () => {
        proof.over = true
      },
    )
  }

  #dead(connection: Connection, proof: { readonly over: boolean }): void {
    if (proof.over || this.#closed || connection !== this.#connection) return
    const why = `the server has not heard from the others for ${proofLimitMs} ms`
    this.#options.drop(connection, storeError('MR_STORE_UNAVAILABLE', why))
  }

  #failed(connection: Connection, error: unknown): void {
    if (connection !== this.#connection || this.#closed) return
    const { context } = this.#options
    const text = error instanceof Error ? error.message : String(error)
    if (text !== this.#complaint) context.log.warn(`cannot be watched: ${text}`)
    this.#complaint = text
    this.down()
    this.#connection = connection
    this.#armed.clear()
    context.clock.after(retryMs, () => void this.#arm())
  }
}

const wants = (prefixes: readonly string[], document: string): boolean =>
  prefixes.some((prefix) => document.startsWith(prefix))
