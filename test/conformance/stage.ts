/** Where a test plays: makes instances with the real host, under time, chance, network and a store of the kit's own. */
import type { Clock, HealthResult, Leadership, Opinion, RevisionRef } from '../../core/contracts/index.ts'
import type { PluginKind, PluginKinds } from '../../core/contracts/plugin.ts'
import { type RawClock, systemClock } from '../../core/host/clock.ts'
import type { MillraceError } from '../../core/host/errors.ts'
import { createInstance, type InstanceDeps, type PluginInstance } from '../../core/host/instance.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import type { Subject } from './case.ts'
import { Hub } from './hub.ts'
import { MemoryStore } from './memory-store.ts'
import { FakeTime, seeded } from './time.ts'

/** What else an instance is given, or instead. */
export interface Making<K extends PluginKind> {
  /** Raw. Default: the author's. */
  readonly options?: unknown
  readonly clock?: Clock
  readonly seed?: number
  readonly context?: Partial<PluginKinds[K]['context']>
  /** Changes everything that the host is given; for faults. */
  readonly wrap?: (deps: InstanceDeps<K>) => InstanceDeps<K>
}

/** What an instance told its context. */
export type Told =
  | { readonly call: 'report' | 'set'; readonly id: string; readonly result: HealthResult }
  | { readonly call: 'hint'; readonly document: string; readonly revision: RevisionRef | undefined }
  | { readonly call: 'bus'; readonly state: 'up' | 'down' }
  | { readonly call: 'elected' | 'deposed'; readonly leadership: Leadership }
  | { readonly call: 'leader'; readonly candidate: string | undefined }
  | { readonly call: 'changed'; readonly id: string; readonly opinion: Opinion }

export interface Made<K extends PluginKind> {
  readonly instance: PluginKinds[K]['instance']
  readonly told: Told[]
  stop(): Promise<void>
}

const nothing = { add() {}, set() {} }

export class Stage<K extends PluginKind> {
  readonly kind: K
  readonly subject: Subject<K>
  readonly time = new FakeTime()
  /** Memory of all threads, by name. */
  readonly memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  readonly store = new MemoryStore(this.time)
  readonly hub = new Hub(this.time)
  /** Faults outside of calls: a timer that threw, a release that failed. */
  readonly faults: MillraceError[] = []
  /** Runs what is not the plugin's doing, so that it is not counted as left behind. */
  aside: <T>(work: () => T) => T = (work) => work()
  readonly #releases: (() => unknown)[] = []

  constructor(subject: Subject<K>) {
    this.kind = subject.plugin.kind
    this.subject = subject
  }

  get fixture(): Subject<K>['fixture'] {
    return this.subject.fixture
  }

  /** Runs at the end, in reverse order. */
  defer(release: () => unknown): void {
    this.#releases.push(release)
  }

  async make(making: Making<K> = {}): Promise<Made<K>> {
    const told: Told[] = []
    const given = this.#deps(told, making)
    const made: PluginInstance<K> = await createInstance(
      builtIn(this.subject.plugin as never) as unknown as LoadedPlugin<K>,
      this.kind,
      'options' in making ? making.options : this.subject.options,
      making.wrap?.(given) ?? given,
    )
    const stop = (): Promise<void> => made.stop()
    this.defer(stop)
    return { instance: made.instance, told, stop }
  }

  /** Stops everything. @throws what went wrong out of anybody's sight */
  async close(): Promise<void> {
    for (const release of this.#releases.splice(0).reverse()) await release()
    if (this.faults.length > 0) throw this.faults[0]
  }

  #deps(told: Told[], making: Making<K>): InstanceDeps<K> {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    return {
      id: `conformance/${this.subject.plugin.name}`,
      clock: (making.clock ?? (this.kind === 'health-source' ? systemClock : this.time.clock())) as RawClock,
      random: seeded(making.seed ?? 1),
      log,
      metrics: { counter: () => nothing, gauge: () => nothing },
      onFault: (error: MillraceError) => void this.faults.push(error),
      ...this.#own(told),
      ...making.context,
    } as unknown as InstanceDeps<K>
  }

  /** What the kind adds to the context. */
  #own(told: Told[]): object {
    const node = { id: 'node-1', boot: 'boot-1', role: 'lb', address: '127.0.0.1:9901', zone: '' } as const
    const process = {
      store: this.store.client(this.time.clock()),
      network: this.hub.network(node),
      members: { self: node, all: () => [node], watch: () => ({ cancel() {} }) },
    }
    switch (this.kind as PluginKind) {
      case 'algorithm':
      case 'circuit-breaker':
      case 'filter':
        return {
          thread: 0,
          threads: 1,
          shared: (name: string, bytes: number, backend?: { slot: number }) =>
            this.#shared(`${backend?.slot ?? ''} ${name}`, bytes),
        }
      case 'health-source':
        return {
          intervalMs: 20,
          timeoutMs: 300,
          store: undefined,
          report: (id: string, result: HealthResult) => told.push({ call: 'report', id, result }),
          set: (id: string, result: HealthResult) => told.push({ call: 'set', id, result }),
        }
      case 'config-store':
        return { fleet: 'default', node: { id: 'node-1', boot: 'boot-1' }, data: '/nonexistent' }
      case 'config-sync':
        return {
          ...process,
          fleet: 'default',
          fleetKeys: ['of-the-conformance-kit'],
          documents: [''],
          hint: (document: string, revision?: RevisionRef) => told.push({ call: 'hint', document, revision }),
          bus: (state: 'up' | 'down') => told.push({ call: 'bus', state }),
        }
      case 'election':
        return {
          ...process,
          candidate: 'node-1/boot-1',
          ttlMs: 3000,
          elected: (leadership: Leadership) => told.push({ call: 'elected', leadership }),
          deposed: (leadership: Leadership) => told.push({ call: 'deposed', leadership }),
          leader: (known?: { candidate: string }) =>
            told.push({ call: 'leader', candidate: known?.candidate }),
        }
      case 'lock':
        return { ...process, fleet: 'default' }
      case 'failure-detector':
        return {
          ...process,
          changed: (id: string, opinion: Opinion) => told.push({ call: 'changed', id, opinion }),
        }
      default:
        return process
    }
  }

  #shared(key: string, bytes: number): Uint8Array<SharedArrayBuffer> {
    const length = (bytes + 7) & ~7
    const found = this.memory.get(key) ?? new Uint8Array(new SharedArrayBuffer(length))
    if (found.byteLength !== length)
      throw new Error(`shared memory ${JSON.stringify(key)} had another length`)
    this.memory.set(key, found)
    return found
  }
}
