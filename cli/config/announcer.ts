/**
 * Tells a fleet of what a command has committed, where the store has a bus of its own (`redis`): LB servers then hear of it at once, as
 * of a change through the API. It only makes them faster. What is not told, or not believed for want of the `fleetKey`, stays in the
 * store's outbox, and the relay of an LB server announces it a moment later; so nothing is noted as announced here.
 */
import { randomUUID } from 'node:crypto'
import type { PluginUse } from '../../core/config/snapshot.ts'
import type { ConfigStore, Log, Metrics, RevisionRef } from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import { within } from '../../core/host/instance-scope.ts'
import { type OpenSync, openSync, syncUse } from '../../core/host/open-sync.ts'
import type { PluginRegistry } from '../../core/host/registry.ts'

export interface AnnouncerDeps {
  readonly store: ConfigStore
  /** What `store` is. */
  readonly use: PluginUse
  readonly registry: PluginRegistry
  readonly fleet: string
  /** Empty: none that is known here. */
  readonly fleetKeys: readonly string[]
  /** What relative paths of options are taken from. */
  readonly directory: string
}

/** The bus is the server that has just taken the write. One that does not answer holds up nobody at a terminal. */
const limitMs = 2000

const nothing = { add() {}, set() {} }
const noMetrics: Metrics = { counter: () => nothing, gauge: () => nothing }
/** What goes wrong here is nothing to do anything about: the relay is there for it. */
const noLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

export class Announcer {
  readonly #deps: AnnouncerDeps
  #opened: Promise<OpenSync | undefined> | undefined

  constructor(deps: AnnouncerDeps) {
    this.#deps = deps
  }

  /** Begins to connect: there will be something to tell. */
  open(): void {
    this.#opened ??= this.#open().catch(() => undefined)
  }

  /** Settles when it is told, or cannot be. Never rejects. */
  async announce(document: string, { number, id }: RevisionRef): Promise<void> {
    this.open()
    const told = async (): Promise<void> => {
      const opened = await this.#opened
      await opened?.sync.announce?.(document, { number, id })
    }
    await within(systemClock, limitMs, told).catch(() => {})
  }

  /** Idempotent; never rejects. */
  async close(): Promise<void> {
    const opened = await this.#opened
    await opened?.stop()
  }

  async #open(): Promise<OpenSync | undefined> {
    const { store, use, registry, fleet, fleetKeys, directory } = this.#deps
    // Another store tells of its changes by itself, or is polled.
    if (!registry.has('config-sync', use.use)) return undefined
    const boot = randomUUID()
    const self = { id: `cli-${boot}`, boot, role: 'lb', address: '127.0.0.1:9903', zone: '' } as const
    return await openSync(syncUse({ store: use, sync: undefined }, store, registry), {
      ...{ registry, store, fleet, fleetKeys, self, directory, clock: systemClock, documents: [] },
      ...{ random: Math.random, log: noLog, metrics: noMetrics, hint() {}, bus() {} },
    })
  }
}
