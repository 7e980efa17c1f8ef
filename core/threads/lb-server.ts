/**
 * A running LB server: the main thread without traffic, and its data threads. Everything that the parts need of each other
 * is put together here.
 */
import { randomBytes } from 'node:crypto'
import type { Config, Snapshot } from '../config/snapshot.ts'
import type { AnyPlugin, Log } from '../contracts/plugin.ts'
import { type RawClock, systemClock } from '../host/clock.ts'
import { installResolver, loadPlugins } from '../host/loader.ts'
import type { PluginRegistry } from '../host/registry.ts'
import { PluginMetrics } from '../observe/plugin-metrics.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import { Applier, type ApplyResult } from './apply.ts'
import { drain } from './drain.ts'
import { HealthRunner } from './health.ts'
import { type FromThread, type ThreadData, toError } from './messages.ts'
import { canReusePort } from './probe-bind.ts'
import { SharedState } from './shared-state.ts'
import { StallWatch } from './stall-watch.ts'
import { type ReadinessEntry, readiness } from './status.ts'
import { Supervisor, type ThreadState } from './supervise.ts'
import type { ThreadLink } from './thread-link.ts'

export interface LbServerOptions {
  readonly config: Config
  /** Module that exports `builtins`; each thread imports it. */
  readonly builtinsUrl: URL
  readonly log: Log
  /** Already loaded plugins of the main thread; absent: they are loaded from the config. */
  readonly registry?: PluginRegistry
  readonly clock?: RawClock
  readonly random?: () => number
  /** Module that exports `DataPlane`; for tests. */
  readonly dataPlaneUrl?: URL
}

export interface BoundListener {
  readonly name: string
  /** Host as configured, or the path of a unix socket. */
  readonly address: string
  /** 0 for unix sockets. */
  readonly port: number
}

/** Extension of modules here: `.ts` in a checkout, `.js` in the built package. */
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const entryUrl = new URL(`./data-thread${extension}`, import.meta.url)
const planeUrl = new URL(`../proxy/data-plane${extension}`, import.meta.url)

/**
 * Starts an LB server; settles when every thread serves the config.
 * @throws MR_LISTEN, MR_PLUGIN_*, MR_THREAD; nothing is left running then
 */
export async function startLbServer(options: LbServerOptions): Promise<LbServer> {
  const wanted = options.config.bootstrap.node.threads
  const threads = wanted > 1 && !(await canReusePort()) ? 1 : wanted
  if (threads < wanted)
    options.log.warn('this system cannot share a port between threads: one data thread serves')
  const server = new LbServer(options, threads, options.registry ?? (await loadRegistry(options)))
  try {
    await server.start()
    return server
  } catch (error) {
    await server.close()
    throw error
  }
}

async function loadRegistry({ builtinsUrl, config }: LbServerOptions): Promise<PluginRegistry> {
  installResolver()
  const { builtins } = (await import(builtinsUrl.href)) as { builtins: readonly AnyPlugin[] }
  return loadPlugins(config.bootstrap.plugins, builtins)
}

export class LbServer {
  readonly #options: LbServerOptions
  readonly #clock: RawClock
  readonly #log: Log
  readonly #state: SharedState
  readonly #stalls: StallWatch
  readonly #health: HealthRunner
  readonly #supervisor: Supervisor
  readonly #applier: Applier
  readonly #quiet = new Map<ThreadLink, { closed(): void; quiet(): void }>()
  #draining = false
  #drained: Promise<boolean> | undefined
  #hurry = new AbortController()
  #closed: Promise<void> | undefined
  #lastApply: { readonly ok: boolean; readonly at: number } | undefined

  /** Use {@link startLbServer}. */
  constructor(options: LbServerOptions, threads: number, registry: PluginRegistry) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log
    this.#state = new SharedState(threads)
    this.#stalls = new StallWatch(this.#clock)
    const clock = this.#clock
    const { log } = options
    const { table, slots, services, metrics } = this.#state
    const mainMetrics = PluginMetrics.attach(metrics, threads)
    this.#health = new HealthRunner({
      clock,
      random: options.random ?? Math.random,
      log,
      table,
      registry,
      stalls: this.#stalls,
      metrics: (id, plugin) => mainMetrics.of(id, plugin),
    })
    this.#supervisor = new Supervisor(
      {
        clock,
        log,
        entry: entryUrl,
        data: this.#threadData(threads, randomBytes(48)),
        cleared: (thread) => this.#threadGone(thread),
        joined: (link) => this.#joined(link),
        message: (link, message) => this.#receive(link, message),
      },
      threads,
    )
    this.#applier = new Applier({
      clock,
      log,
      registry,
      supervisor: this.#supervisor,
      health: this.#health,
      slots,
      services,
      committed: (snapshot) => log.info('config applied', { revision: snapshot.revision }),
    })
  }

  /** @throws when a thread cannot start or refuses the config */
  async start(): Promise<void> {
    await this.#supervisor.start()
    const result = await this.#apply(this.#options.config.snapshot)
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

  /** Revision of the config that is served. */
  get revision(): number {
    return this.#applier.served?.revision ?? 0
  }

  get served(): ThreadSnapshot | undefined {
    return this.#applier.served
  }

  threads(): readonly ThreadState[] {
    return this.#supervisor.states()
  }

  readiness(): readonly ReadinessEntry[] {
    return readiness({
      revision: this.revision,
      draining: this.#draining,
      threads: this.#supervisor.states(),
    })
  }

  /** Brings a new config to all threads, or to none. The bootstrap half is not looked at: it needs a restart. */
  apply(config: Config): Promise<ApplyResult> {
    return this.#apply(config.snapshot)
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

  async #apply(snapshot: Snapshot): Promise<ApplyResult> {
    const result = await this.#applier.apply(snapshot)
    if (result.status === 'refused' || result.status === 'applied') {
      this.#lastApply = { ok: result.status === 'applied', at: this.#clock.wall() }
    }
    return result
  }

  async #drain(): Promise<boolean> {
    const links = this.#supervisor.online()
    const quiet = links.map((link) => this.#watchQuiet(link))
    const { delayMs, timeoutMs } = this.#applier.served?.drain ?? this.#options.config.snapshot.drain
    const clean = await drain({
      clock: this.#clock,
      log: this.#log,
      delayMs,
      timeoutMs,
      hurry: this.#hurry.signal,
      unready: () => {
        this.#draining = true
      },
      startDrain: () => {
        for (const link of links) link.send({ type: 'drain' })
      },
      closeListeners: async () => {
        this.#supervisor.stopReplacing()
        for (const link of links) link.send({ type: 'close-listeners' })
        await Promise.all(quiet.map((watch) => watch.closed))
      },
      quiet: async () => {
        await Promise.all(quiet.map((watch) => watch.quiet))
      },
    })
    await this.close()
    return clean
  }

  /** A thread that dies while it drains has nothing left to wait for. */
  #watchQuiet(link: ThreadLink): { closed: Promise<void>; quiet: Promise<void> } {
    const closed = Promise.withResolvers<void>()
    const quiet = Promise.withResolvers<void>()
    this.#quiet.set(link, { closed: closed.resolve, quiet: quiet.resolve })
    void link.exited.then(() => {
      closed.resolve()
      quiet.resolve()
    })
    return { closed: closed.promise, quiet: quiet.promise }
  }

  async #close(): Promise<void> {
    this.#draining = true
    this.#hurry.abort()
    await this.#supervisor.stop()
    await this.#health.stop()
    this.#stalls.stop()
  }

  #threadData(threads: number, ticketKeys: Uint8Array): (thread: number) => ThreadData {
    const { table, metrics, arena } = this.#state
    const { builtinsUrl, config, dataPlaneUrl } = this.#options
    return (thread) => ({
      thread,
      threads,
      table: table.buffers,
      metrics,
      arena: arena.buffers,
      ticketKeys,
      builtinsUrl: builtinsUrl.href,
      plugins: config.bootstrap.plugins,
      dataPlaneUrl: (dataPlaneUrl ?? planeUrl).href,
    })
  }

  #threadGone(thread: number): void {
    this.#state.clearThread(thread)
    // What only the dead thread still held is free now.
    this.#applier.release()
  }

  #joined(link: ThreadLink): void {
    void this.#applier.join(link).catch((error: unknown) => this.#log.error('join failed', { error }))
    // A successor that comes while the process drains says so too.
    if (this.#draining) link.send({ type: 'drain' })
  }

  #receive(link: ThreadLink, message: FromThread): void {
    if (message.type === 'log') this.#log[message.level](message.message, message.fields)
    else if (message.type === 'released') this.#applier.release()
    else if (message.type === 'listeners-closed') this.#quiet.get(link)?.closed()
    else if (message.type === 'quiet') this.#quiet.get(link)?.quiet()
  }
}
