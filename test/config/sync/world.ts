/**
 * A simulated fleet: one store, engines with a connection each, faults chosen by the test, and fake time. The store is the
 * kit's; here it gets round trips that take time, cuts, lost hints and answers, forks.
 */

import { SyncEngine, type SyncEngineDeps } from '#core/config/sync/engine'
import type { LastKnownGood, SavedConfig } from '#core/config/sync/last-known-good'
import type { RevisionAt, UseResult } from '#core/config/sync/state'
import { encodeConfig } from '#core/config/sync/value'
import type { ConfigStore, Document, PutResult, RevisionRef } from '#core/contracts/index'
import { MillraceError } from '#core/host/errors'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime, seeded } from '../../conformance/time.ts'

export const pollMs = 1000
export const reconcileMs = 60_000

/** What a test writes: any data; `bad` makes `use` refuse it. */
export type Config = { readonly n: number; readonly bad?: boolean }

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Record<string, unknown> | undefined
}

export class World {
  readonly time = new FakeTime()
  readonly random: () => number
  readonly nodes: Node[] = []
  /** Ids of revisions that no node may serve. */
  readonly bad = new Set<string>()
  data = new MemoryStore(this.time)
  lineage = 'lineage-1'
  /** Nobody reaches the store. */
  down = false
  #ids = 0

  constructor(seed = 1) {
    this.random = seeded(seed)
  }

  newId(): string {
    return `id-${++this.#ids}-${Math.floor(this.random() * 2 ** 32).toString(16)}`
  }

  node(id = `lb-${this.nodes.length}`): Node {
    const node = new Node(this, id)
    // One half of the stores tells the lineage with the document, the other has to be asked.
    node.tellsLineage = this.nodes.length % 2 === 1
    this.nodes.push(node)
    return node
  }

  /** The head, read past all faults. */
  get head(): Document | undefined {
    return this.data.documents.get('config')?.history[0]
  }

  /** Writes the next revision and hints at it, as its writer does. */
  async put(config: unknown, options: { hint?: boolean; schema?: number } = {}): Promise<RevisionRef> {
    const { revision } = this.head ?? {}
    const note = { by: 'test', schema: options.schema ?? 1 }
    const value = config === null ? null : encodeConfig(config)
    const writing = this.data.client().put('config', value, revision ?? null, this.newId(), note)
    const result: PutResult = await writing
    if (result.status !== 'committed') throw new Error(`not committed: ${result.status}`)
    if ((config as Config | null)?.bad) this.bad.add(result.revision.id)
    if (options.hint !== false) for (const node of this.nodes) node.hint(result.revision)
    return result.revision
  }

  /** What a replica has that was promoted: the last `lost` revisions are gone. */
  fork(lost: number): void {
    const stored = this.data.documents.get('config')
    stored?.history.splice(0, Math.min(lost, stored.history.length))
    if (stored) stored.announced = 0
    if (stored?.history.length === 0) this.data.documents.delete('config')
  }

  /** Another store in its place. */
  replace(): void {
    this.data = new MemoryStore(this.time)
    this.lineage = `lineage-${this.newId()}`
  }

  pass(ms: number): Promise<void> {
    return this.time.advanceAsync(ms)
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.engine?.stop()
  }
}

/** A disk that outlives the process. */
class Disk implements LastKnownGood {
  saved: readonly SavedConfig[] = []
  full = false

  async load(): Promise<readonly SavedConfig[]> {
    return this.saved
  }

  async save(config: SavedConfig): Promise<void> {
    if (this.full) throw new Error('no space left on the device')
    this.saved = [config, ...this.saved].slice(0, 2)
  }
}

export class Node {
  readonly world: World
  readonly id: string
  readonly disk = new Disk()
  readonly log: LogLine[] = []
  /** Every config that was served, in order, over restarts. */
  readonly served: Config[] = []
  /** Every revision that was taken, in order, over restarts; `branch` counts the forks that a boot has followed. */
  readonly taken: { readonly revision: RevisionAt; readonly boot: number; readonly branch: number }[] = []
  engine: SyncEngine | undefined
  /** Faults of this node's connection. */
  cut = false
  hangs = false
  losesAnswers = false
  losesHints = false
  latencyMs = 1
  tellsLineage = false
  /** What a replica that lags answers to a `get` of that document that need not be fresh. */
  lagging: Document | undefined
  /** What threads say to the next configs, instead of what the config deserves. */
  refuses: UseResult[] = []
  /** How long the threads take over a config. */
  takesMs = 0
  calls = 0
  boots = 0

  constructor(world: World, id: string) {
    this.world = world
    this.id = id
  }

  start(deps: Partial<SyncEngineDeps> = {}): Promise<void> {
    const { world } = this
    const write =
      (level: LogLine['level']) =>
      (message: string, fields?: Record<string, unknown>): void => {
        this.log.push({ level, message, fields })
        if (level === 'info' && message.endsWith('is served') && fields) this.#took(fields)
      }
    this.engine = new SyncEngine({
      ...{
        store: this.#store(),
        clock: world.time.clock(world.nodes.indexOf(this) * 7),
        random: world.random,
      },
      ...{ pollMs, reconcileMs, lastGood: this.disk, node: { id: this.id, boot: `boot-${++this.boots}` } },
      log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
      newId: () => world.newId(),
      use: (data) => this.#use(data as Config),
      ...deps,
    })
    return this.engine.start()
  }

  /** As `kill -9` and a start: nothing is left but the disk. */
  async restart(): Promise<void> {
    await this.engine?.stop()
    await this.start()
  }

  hint(revision?: RevisionRef): void {
    if (!this.losesHints && !this.cut) this.engine?.hint('config', revision)
  }

  get state() {
    if (!this.engine) throw new Error('not started')
    return this.engine.state()
  }

  /** What is served now. */
  get serves(): Config | undefined {
    return this.served.at(-1)
  }

  /** Its record in the store. */
  get record(): Record<string, Record<string, unknown>> | undefined {
    const value = this.world.data.documents.get(`node/${this.id}`)?.history[0].value
    return value ? JSON.parse(Buffer.from(value).toString()) : undefined
  }

  lines(level: LogLine['level']): string[] {
    return this.log.filter((line) => line.level === level).map(({ message }) => message)
  }

  #took({ lineage, number, id, branch }: Record<string, unknown>): void {
    const revision = { lineage, number, id } as RevisionAt
    this.taken.push({ revision, boot: this.boots, branch: Number(branch) })
  }

  async #use(data: Config): Promise<UseResult> {
    if (this.takesMs > 0) await new Promise<void>((done) => this.world.time.clock().after(this.takesMs, done))
    const told = this.refuses.shift()
    if (told) return told
    if (data.bad)
      return { status: 'refused', problems: [{ code: 'MR_CONFIG_INVALID', message: `${data.n} is bad` }] }
    this.served.push(data)
    return { status: 'used' }
  }

  #store(): ConfigStore {
    const { world } = this
    const call = async <T>(work: (client: ConfigStore) => Promise<T>): Promise<T> => {
      this.calls++
      await this.#way()
      const result = await work(world.data.client())
      await this.#way()
      return result
    }
    const put: ConfigStore['put'] = async (...args) => {
      const result = await call((client) => client.put(...args))
      return this.losesAnswers ? { status: 'unknown', cause: new Error('the answer was lost') } : result
    }
    return {
      put,
      lineage: () => call(async () => world.lineage),
      get: (document, options) =>
        call(async (client) => {
          const lags = !options?.fresh && document === this.lagging?.document
          return this.#told((lags && this.lagging) || (await client.get(document)))
        }),
      heads: (prefix) => call((client) => client.heads(prefix)),
      history: (document, options) => call((client) => client.history(document, options)),
      revision: (document, revision) => call((client) => client.revision(document, revision)),
      unannounced: () => call((client) => client.unannounced()),
      markAnnounced: (document, revision) => call((client) => client.markAnnounced(document, revision)),
      lease: async () => undefined,
      leases: async () => [],
    }
  }

  #told(document: Document | null): Document | null {
    return document && this.tellsLineage ? { ...document, lineage: this.world.lineage } : document
  }

  async #way(): Promise<void> {
    const { time } = this.world
    if (this.hangs) await new Promise<void>((resolve) => time.clock().after(5000, resolve))
    else if (this.latencyMs > 0)
      await new Promise<void>((resolve) => time.clock().after(this.latencyMs / 2, resolve))
    if (this.cut || this.hangs || this.world.down)
      throw new MillraceError('MR_STORE_UNAVAILABLE', 'the store does not answer')
  }
}
