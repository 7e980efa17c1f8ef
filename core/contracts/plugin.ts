/**
 * The one definition form of every plugin kind, and what every plugin is given.
 *
 * A plugin is a plain object made by {@link definePlugin} and exported as the default of its module. Importing the
 * module has no effect; the host calls `create` once for each use (process kinds: on the main thread; thread kinds: on
 * every data thread).
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Algorithm, Member } from './algorithm.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import type { ConfigStore, StoreContext } from './config-store.ts'
import type { ConfigSync, SyncContext } from './config-sync.ts'
import type { DnsPublisher, DnsPublisherContext } from './dns-publisher.ts'
import type { Election, ElectionContext } from './election.ts'
import type { DetectorContext, FailureDetector } from './failure-detector.ts'
import type { Filter } from './filter.ts'
import type { HealthContext, HealthSource } from './health-source.ts'
import type { LockContext, Locker } from './lock.ts'
import type { MetricsContext, MetricsSource } from './metrics-source.ts'
import type { ProcessContext } from './process.ts'
import type { Provisioner } from './provisioner.ts'
import type { Vip, VipContext } from './vip.ts'

/** All kinds: what `create` is given and what it returns. Later versions add kinds; they do not change these. */
export interface PluginKinds {
  algorithm: { context: ThreadContext; instance: Algorithm }
  'circuit-breaker': { context: ThreadContext; instance: CircuitBreaker }
  filter: { context: ThreadContext; instance: Filter }
  'health-source': { context: HealthContext; instance: HealthSource }
  'config-store': { context: StoreContext; instance: ConfigStore }
  'config-sync': { context: SyncContext; instance: ConfigSync }
  election: { context: ElectionContext; instance: Election }
  lock: { context: LockContext; instance: Locker }
  'failure-detector': { context: DetectorContext; instance: FailureDetector }
  provisioner: { context: ProcessContext; instance: Provisioner }
  'metrics-source': { context: MetricsContext; instance: MetricsSource }
  'dns-publisher': { context: DnsPublisherContext; instance: DnsPublisher }
  vip: { context: VipContext; instance: Vip }
}

export type PluginKind = keyof PluginKinds

/** Kinds with one instance per use on every data thread; the others have one per use on the main thread. */
export const threadKinds: readonly PluginKind[] = ['algorithm', 'circuit-breaker', 'filter']

export type ThreadKind = 'algorithm' | 'circuit-breaker' | 'filter'

/** A timer made by {@link Clock}. `cancel` is idempotent. */
export interface Timer {
  cancel(): void
}

/** Time, injected. Timers made here are attributed to the plugin and cancelled when it stops. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; fractional. */
  now(): number
  /** Wall-clock milliseconds since the Unix epoch. */
  wall(): number
  /** Calls `run` once after `ms` milliseconds. A throw in `run` is logged with the plugin's name. */
  after(ms: number, run: () => void): Timer
  /** Calls `run` every `ms` milliseconds until cancelled. Runs do not overlap a stalled loop: missed ones are skipped. */
  every(ms: number, run: () => void): Timer
}

/** Structured log of one plugin instance: each line carries the plugin's kind, name and use. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

export interface Counter {
  /** Adds `by` (default 1, never negative). Allocates nothing. */
  add(by?: number): void
}

export interface Gauge {
  set(value: number): void
}

/**
 * Metrics of a plugin instance. They appear on `/metrics` as `millrace_plugin_<name>` with the labels `plugin` and
 * `use`, summed over threads. Names are `[a-z][a-z0-9_]*`; asking twice for one name gives the same metric.
 */
export interface Metrics {
  counter(name: string, help: string): Counter
  gauge(name: string, help: string): Gauge
}

/** What `create` of every kind is given. Everything in it ends when the instance stops. */
export interface PluginContext {
  /** Unique name of this use, e.g. `service/api/algorithm`. Stable over reloads. */
  readonly id: string
  readonly log: Log
  readonly clock: Clock
  /** Uniform in [0, 1); seeded in tests. */
  random(): number
  readonly metrics: Metrics
  /** Fires when the instance stops. */
  readonly signal: AbortSignal
  /**
   * A path of the options as an absolute one. A relative path is taken from the folder of the config file that it stands in; where the
   * use comes from a config store, from `node.data`, for nobody who writes there knows where a node keeps its config file.
   */
  resolvePath(path: string): string
  /** The instance is made only to see that it can be, and stopped at once (`millrace check`): it must reach out to nobody. */
  readonly trial: boolean
  /** Registers a release; releases run in reverse order at stop, also when `create` throws. May return a promise. */
  defer(release: () => void | PromiseLike<void>): void
}

/** Context of the thread kinds (`algorithm`, `circuit-breaker`, `filter`). */
export interface ThreadContext extends PluginContext {
  /** Index of this data thread, from 0, and how many there are. */
  readonly thread: number
  readonly threads: number
  /**
   * Memory shared by all threads' instances of this use, zero-filled when it is first asked for, kept over reloads as
   * long as the plugin's code is the same. The same `name` gives the same memory; the length must agree.
   *
   * @param name any string
   * @param bytes length, rounded up to 8; 8-byte aligned, so typed arrays can be laid over it
   * @param backend ties the memory to that backend: it is released, and zeroed for a successor, when the backend leaves
   * @throws MR_SHARED_SIZE when the length differs from the first one, MR_SHARED_FULL when the table is full
   */
  shared(name: string, bytes: number, backend?: { readonly slot: number }): Uint8Array<SharedArrayBuffer>
}

/** What the author writes. `S` is any synchronous Standard Schema; `options` in `create` is its output type. */
export interface PluginDefinition<
  K extends PluginKind = PluginKind,
  S extends StandardSchemaV1 = StandardSchemaV1,
> {
  /** Version of this contract. */
  readonly api: 1
  readonly kind: K
  /** kebab-case, unique per kind; what `use` names in the config. */
  readonly name: string
  /** One line for `millrace explain` and the docs. */
  readonly description?: string
  readonly options: S
  /**
   * Makes one instance. May be async (10 s at most); requests do not use the instance before it resolves.
   * A throw is reported with the plugin, the use and the cause, and whatever was deferred is released.
   */
  create(
    context: PluginKinds[K]['context'],
    options: StandardSchemaV1.InferOutput<S>,
  ): PluginKinds[K]['instance'] | PromiseLike<PluginKinds[K]['instance']>
  /**
   * Only `algorithm`: builds a heavy lookup table over *all* members, off the data threads, once per change of
   * membership or weight. Must be pure and deterministic. The bytes are put into shared memory and appear as
   * `view.table` in `update`; indices in it refer to `view.all`, which has the order of `members`.
   */
  buildTable?(members: readonly Member[], options: StandardSchemaV1.InferOutput<S>): Uint8Array
}

/** A plugin of some kind with its option types forgotten: what registries hold. */
export type AnyPlugin = {
  [K in PluginKind]: PluginDefinition<K, StandardSchemaV1>
}[PluginKind]

/**
 * Types a plugin: `kind` chooses the context and the instance, `options` the type of the second argument of `create`.
 * Returns its argument; nothing is registered.
 */
export function definePlugin<const K extends PluginKind, S extends StandardSchemaV1>(
  plugin: PluginDefinition<K, S>,
): PluginDefinition<K, S> {
  return plugin
}
