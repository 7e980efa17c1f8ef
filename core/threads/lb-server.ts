/**
 * A running LB server: the main thread without traffic, and its data threads. Everything that the parts need of each other
 * is put together here.
 *
 * Over 300 lines: it is the list of the parts and of what they ask each other.
 */
import { randomBytes } from 'node:crypto'
import type { Config } from '../config/snapshot.ts'
import type { SyncState } from '../config/sync/state.ts'
import type { Log, Metrics, PluginKind } from '../contracts/plugin.ts'
import { type RawClock, systemClock } from '../host/clock.ts'
import { loadRegistry } from '../host/loader.ts'
import type { MainUses } from '../host/main-use.ts'
import type { PluginRegistry } from '../host/registry.ts'
import { withoutVersions } from '../host/resolver.ts'
import type { AdminListener } from '../observe/admin.ts'
import type { NodeState } from '../observe/family.ts'
import { PluginMetrics } from '../observe/plugin-metrics.ts'
import type { ServiceState } from '../observe/service-state.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import { AccessLogSwitch } from './access-log-switch.ts'
import { Applier, type ApplyResult } from './apply.ts'
import { blame, toldOf } from './blame.ts'
import { drain } from './drain.ts'
import { ThreadDrain } from './drain-threads.ts'
import { longestHistory } from './handover.ts'
import { HealthRunner } from './health.ts'
import type { BoundListener, LbServerOptions } from './lb-options.ts'
import { MainPlugins } from './main-plugins.ts'
import { type FromThread, toError } from './messages.ts'
import { Overrides } from './overrides.ts'
import { PluginHealth } from './plugin-health.ts'
import { canReusePort } from './probe-bind.ts'
import { Seeing } from './seeing.ts'
import { SharedState } from './shared-state.ts'
import { StallWatch } from './stall-watch.ts'
import type { ReadinessEntry } from './status.ts'
import { Supervisor, type SupervisorDeps, type ThreadState } from './supervise.ts'
import type { ThreadLink } from './thread-link.ts'

/** Extension of modules here: `.ts` in a checkout, `.js` in the built package. */
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const entryUrl = new URL(`./data-thread${extension}`, import.meta.url)
const planeUrl = new URL(`../proxy/data-plane${extension}`, import.meta.url)

/**
 * Starts an LB server; settles when every thread serves the config, or, where that is in a store, waits for it.
 * @throws MR_LISTEN, MR_PLUGIN_*, MR_THREAD; nothing is left running then
 */
export async function startLbServer(options: LbServerOptions): Promise<LbServer> {
  const wanted = options.config.bootstrap.node.threads
  const threads = wanted > 1 && !(await canReusePort()) ? 1 : wanted
  const registry =
    options.registry ?? (await loadRegistry(options.config.bootstrap.plugins, options.builtinsUrl))
  if (threads < wanted)
    options.log.warn('this system cannot share a port between threads: one data thread serves')
  const server = new LbServer(options, threads, registry)
  try {
    await server.start()
    return server
  } catch (error) {
    await server.close()
    throw error
  }
}

export type { BoundListener, LbServerOptions } from './lb-options.ts'

export class LbServer {
  readonly #options: LbServerOptions
  readonly #clock: RawClock
  readonly #log: Log
  readonly #state: SharedState
  readonly #stalls: StallWatch
  readonly #health: HealthRunner
  readonly #supervisor: Supervisor
  readonly #applier: Applier
  readonly #accessLog: AccessLogSwitch
  readonly #overrides: Overrides
  readonly #seeing: Seeing
  readonly #pluginHealth: PluginHealth
  readonly #main: MainPlugins
  readonly #hurry = new AbortController()
  #admin: AdminListener | undefined
  #threadDrain: ThreadDrain | undefined
  #draining = false
  #drained: Promise<boolean> | undefined
  #closed: Promise<void> | undefined
  #lastReload: NodeState['lastReload']
  #sync: (() => SyncState) | undefined
  readonly #pluginMetrics: PluginMetrics

  /** Use {@link startLbServer}. */
  constructor(options: LbServerOptions, threads: number, registry: PluginRegistry) {
    const { clock = systemClock, log } = options
    this.#options = options
    this.#clock = clock
    this.#log = log
    this.#lastReload = { ok: false, at: clock.wall() }
    // A row for the successor of a thread that has loaded much code; where no code can change, none is read for nothing.
    const changing = options.config.bootstrap.plugins.some(({ kind }) => kind === 'path')
    const rows = threads + Number(changing && threads > 0)
    this.#state = new SharedState(rows)
    this.#pluginHealth = new PluginHealth(clock, (kind, plugin) => this.#instead(kind, plugin))
    this.#main = options.main ?? new MainPlugins({ clock, log })
    this.#mindMain(registry)
    this.#stalls = new StallWatch(clock)
    this.#accessLog = new AccessLogSwitch(clock, log)
    const { table, metrics } = this.#state
    const pluginMetrics = PluginMetrics.attach(metrics, rows)
    this.#pluginMetrics = pluginMetrics
    this.#health = new HealthRunner({
      ...{ clock, log, table, random: options.random ?? Math.random },
      stalls: this.#stalls,
      metrics: (id, plugin) => pluginMetrics.of(id, plugin),
      uses: this.#main,
      enabled: options.config.bootstrap.probing === 'self',
      fault: (plugin, hook, { message }) =>
        this.#pluginHealth.faulted({ kind: 'health-source', plugin, hook, message, count: 1 }),
    })
    this.#overrides = new Overrides({
      ...{ clock, log, table, directory: options.config.bootstrap.node.data },
      shared: options.config.bootstrap.store !== undefined,
      services: () => this.#applier.served?.services.values() ?? [],
    })
    this.#supervisor = new Supervisor(this.#supervision(threads, rows), threads)
    this.#applier = new Applier({
      clock,
      log,
      registry,
      supervisor: this.#supervisor,
      health: this.#health,
      overrides: this.#overrides,
      state: this.#state,
      accessLog: this.#accessLog,
      pluginHealth: this.#pluginHealth,
      longestHistory: options.longestHistory ?? longestHistory,
      closingMs: options.closingMs,
      committed: (snapshot) => log.info('config applied', { revision: snapshot.revision }),
    })
    this.#seeing = new Seeing({
      state: this.#state,
      health: this.#health,
      overrides: this.#overrides,
      served: () => this.#applier.served,
      threads: () => this.#supervisor.states(),
      plugins: () => this.#pluginHealth.states(),
      draining: () => this.#draining,
      lastReload: () => this.#lastReload,
      mainStalls: () => this.#stalls.stalls,
      sync: () => this.#sync?.(),
    })
  }

  /** @throws when an address is taken, a thread cannot start, or the config is refused */
  async start(): Promise<void> {
    this.#admin = await this.#seeing.listen(this.#options.config.bootstrap.admin)
    await this.#supervisor.start()
    // From the store, whenever it comes: until then nothing listens, and the process is not ready.
    if (this.#options.config.bootstrap.store) return
    const result = await this.apply(this.#options.config)
    if (result.status !== 'applied') throw toError(result.problems[0])
  }

  /** Where clients reach it now. */
  get listeners(): readonly BoundListener[] {
    const served = this.#applier.served
    return (served?.listeners ?? []).map(({ name, host, socketPath }) => ({
      name,
      address: socketPath || host,
      port: served?.ports[name] ?? 0,
    }))
  }

  /** undefined where the config has none. */
  get admin(): { readonly address: string; readonly port: number } | undefined {
    return this.#admin && { address: this.#admin.address, port: this.#admin.port }
  }

  /** What is served now. */
  get served(): ThreadSnapshot | undefined {
    return this.#applier.served
  }

  /** What operators have decided; where there is a store, it comes from there. */
  get overrides(): Overrides {
    return this.#overrides
  }

  get threads(): readonly ThreadState[] {
    return this.#supervisor.states()
  }

  services(): readonly ServiceState[] {
    return this.#seeing.services()
  }

  readiness(): readonly ReadinessEntry[] {
    return this.#seeing.readiness()
  }

  metricsText(): Promise<string> {
    return this.#seeing.metricsText()
  }

  /** What is taken of the shared memory; `waiting` numbers are held by old snapshots. */
  get usage(): Readonly<Record<'slots' | 'waiting' | 'services' | 'arenaBytes', number>> {
    const { arena, services, slots } = this.#state
    return { slots: slots.used, waiting: slots.waiting, services: services.used, arenaBytes: arena.usedBytes }
  }

  /**
   * Brings a new config to all threads, or to none; the result says which, and never rejects. The bootstrap half is not
   * looked at but for `plugins`: it needs a restart.
   * @param registry the plugins that the config was checked against; absent: they stay what they are
   */
  async apply(config: Config, registry?: PluginRegistry): Promise<ApplyResult> {
    if (registry) this.#main.know(registry.list())
    const result = await this.#applier.apply(config, registry)
    if (result.status !== 'superseded') {
      this.#lastReload = { ok: result.status !== 'refused', at: this.#clock.wall() }
    }
    if (result.status === 'applied') this.#options.applied?.()
    return result
  }

  /** A config could not be read: what is served is not what the operator wants. */
  configUnreadable(): void {
    this.#lastReload = { ok: false, at: this.#clock.wall() }
  }

  /** The plugins that are served are these, in these versions of their code. */
  runs(registry: PluginRegistry): boolean {
    return this.#applier.runs(registry)
  }

  /** Says what the config store is doing, from now on. */
  showSync(state: () => SyncState): void {
    this.#sync = state
  }

  /** Plugins of the main thread are made under these. */
  get mainUses(): MainUses {
    return this.#main
  }

  /** Metrics of a plugin of the main thread. */
  metricsOf(id: string, plugin: string): Metrics {
    return this.#pluginMetrics.of(id, plugin)
  }

  /** After a log rotation. */
  reopenLogs(): void {
    this.#accessLog.reopen()
  }

  /** Not ready from now on: balancers in front take notice while what comes before {@link drain} ends. */
  leave(): void {
    this.#draining = true
  }

  /**
   * Stops without losing a request that is on its way; then everything is closed. A second call joins the first; with
   * `skipDelay` it ends the first one's delay.
   * @returns false when exchanges were cut off at the timeout
   */
  drain(options: { readonly skipDelay?: boolean } = {}): Promise<boolean> {
    if (options.skipDelay) this.#hurry.abort()
    this.#drained ??= this.#drain()
    return this.#drained
  }

  /** Stops at once. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Ends a data thread as a crash would; for tests. Settles when it is gone. */
  killThread(thread: number): Promise<void> {
    return this.#supervisor.kill(thread)
  }

  /** Settles when no thread is leaving that another has replaced; for tests. */
  left(): Promise<void> {
    return this.#applier.handover.left()
  }

  async #drain(): Promise<boolean> {
    const { delayMs, timeoutMs } = this.#applier.served?.drain ?? this.#options.config.snapshot.drain
    this.#draining = true
    const clean = await drain({
      clock: this.#clock,
      log: this.#log,
      delayMs,
      timeoutMs,
      hurry: this.#hurry.signal,
      startDrain: () => {
        for (const link of this.#supervisor.holding()) link.send({ type: 'drain' })
      },
      closeListeners: async () => {
        // From here on a thread that dies is not missed, and nothing opens a listener again.
        this.#supervisor.stopReplacing()
        await this.#applier.stop()
        this.#threadDrain = new ThreadDrain(this.#supervisor.holding())
        return this.#threadDrain.closeListeners()
      },
      quiet: async () => this.#threadDrain?.quiet(),
    })
    await this.close()
    return clean
  }

  async #close(): Promise<void> {
    this.#draining = true
    this.#hurry.abort()
    await this.#supervisor.stop()
    await this.#health.stop()
    await this.#overrides.stop()
    this.#stalls.stop()
    this.#main.stop()
    await this.#accessLog.close()
    await this.#admin?.close()
  }

  #mindMain(registry: PluginRegistry): void {
    this.#main.know(registry.list())
    this.#main.count((plugin, message) => this.#pluginHealth.threwOutside(plugin, message))
  }

  #instead(kind: PluginKind, name: string): string | undefined {
    const found = this.#applier.plugins.find(
      ({ definition }) => definition.kind === kind && definition.name === name,
    )
    return found?.instead ?? this.#main.down(kind, name)
  }

  /** An error outside of any hook ends a thread: whose was it? */
  #uncaught(link: ThreadLink, error: unknown): void {
    const { stack, message } = toldOf(error)
    const loaded = blame(stack, this.#applier.plugins)
    const fields = { code: 'MR_THREAD', thread: link.thread, stack: withoutVersions(stack) }
    if (!loaded) {
      this.#log.error('data thread: uncaught error', fields)
      return
    }
    const { kind, name } = loaded.definition
    const at = { ...fields, code: 'MR_PLUGIN_FAULT', kind, plugin: name, version: loaded.hash }
    this.#log.error(`data thread: ${kind} ${name} threw outside of any hook: ${message}`, at)
    if (this.#pluginHealth.crashed(loaded, message)) void this.#applier.recover()
  }

  #supervision(threads: number, rows: number): SupervisorDeps {
    const { table, metrics, arena } = this.#state
    const { builtinsUrl, dataPlaneUrl, config } = this.#options
    const ticketKeys = randomBytes(48)
    return {
      clock: this.#clock,
      log: this.#log,
      entry: entryUrl,
      rows,
      data: (thread, row) => ({
        thread,
        threads,
        row,
        zone: config.bootstrap.node.zone,
        table: table.buffers,
        metrics,
        arena: arena.buffers,
        ticketKeys,
        builtinsUrl: builtinsUrl.href,
        dataPlaneUrl: (dataPlaneUrl ?? planeUrl).href,
      }),
      cleared: (row) => {
        this.#state.clearThread(row)
        // What only the dead thread still held is free now.
        this.#applier.release()
      },
      uncaught: (link, error) => this.#uncaught(link, error),
      joined: (link) => {
        void this.#applier.join(link)
        // A successor that comes while the process drains says so too.
        if (this.#draining) link.send({ type: 'drain' })
      },
      message: (link, message) => this.#receive(link, message),
    }
  }

  #receive(link: ThreadLink, message: FromThread): void {
    if (message.type === 'access') {
      this.#accessLog.write(message.records)
      link.send({ type: 'access-taken', records: message.records.length })
    } else if (message.type === 'log') this.#log[message.level](message.message, message.fields)
    else if (message.type === 'released') this.#applier.release()
    else if (message.type === 'faults') for (const fault of message.faults) this.#pluginHealth.faulted(fault)
    else {
      this.#threadDrain?.receive(link, message)
      this.#applier.handover.receive(link, message)
    }
  }
}
