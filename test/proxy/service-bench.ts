/** A service as a data thread runs it, without sockets: its picks over chosen health, load and time. */
import type { Backend, Outcome } from 'millrace'
import type { BreakerGate } from '#core/contracts/circuit-breaker'
import type { Exchange } from '#core/proxy/exchange'
import { ServiceQueue } from '#core/proxy/service-queue'
import { type HttpBackend, ServiceRuntime } from '#core/proxy/service-runtime'
import { health, SharedTable } from '#core/threads/table'
import { BackendState } from '#core/upstream/backend'
import { Pool } from '#core/upstream/pool'
import { AddressBook } from '#core/upstream/resolve'
import { load, web } from '../config/load-text.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { seeded, threadContext } from '../plugins/fake-context.ts'
import { algorithm, builtin, parsed } from '../plugins/make.ts'

export interface BenchBackend {
  readonly weight?: number
  readonly zone?: string
  readonly priority?: number
}

/** What a pick is for. */
export interface Wish {
  /** Value of the header `k`, which is the key. */
  readonly key?: string
  readonly tried?: readonly number[]
  readonly preferred?: number
}

export class ServiceBench {
  readonly clock: FakeClock
  readonly service: ServiceRuntime
  readonly table: SharedTable
  readonly faults: unknown[]
  /** The next version of the service, after a reload; not the running one yet. */
  readonly makeNext: () => ServiceRuntime

  constructor(makeService: () => ServiceRuntime, clock: FakeClock, faults: unknown[]) {
    const service = makeService()
    service.begin(true)
    service.settleIn()
    this.makeNext = makeService
    this.service = service
    this.clock = clock
    this.table = service.table
    this.faults = faults
  }

  get backends(): readonly HttpBackend[] {
    return this.service.backends
  }

  /** Index of the backend that is picked; -1: none. */
  pick(wish: Wish = {}): number {
    const exchange = {
      startMs: this.clock.now(),
      clientAddress: '127.0.0.1',
      requestFields: { get: () => wish.key },
      tried: wish.tried?.map((index) => this.backends[index]),
      preferred: wish.preferred === undefined ? undefined : this.backends[wish.preferred],
      gate: undefined,
      token: 0,
    }
    const backend = this.service.pick(exchange as unknown as Exchange)
    return backend === undefined ? -1 : this.backends.indexOf(backend)
  }

  /** How many of so many picks go to each. */
  counts(picks: number, wish: (index: number) => Wish = () => ({})): number[] {
    const counts = this.backends.map(() => 0)
    for (let i = 0; i < picks; i++) {
      const picked = this.pick(wish(i))
      if (picked >= 0) counts[picked]++
    }
    return counts
  }

  down(...indices: number[]): void {
    for (const index of indices) this.#health(index, health.down)
  }

  up(...indices: number[]): void {
    for (const index of indices) this.#health(index, health.up)
  }

  #health(index: number, state: number): void {
    this.table.health[index] = state
    this.table.epoch[this.service.index]++
  }

  /** Exchanges in flight there, of the service too. */
  load(index: number, exchanges: number): void {
    const row = this.table.inFlight[0]
    this.table.active[0][this.service.index] += exchanges - row[index]
    row[index] = exchanges
  }

  /** Its breaker refuses. */
  refuse(...indices: number[]): void {
    const gate: BreakerGate = { state: 'open', tryAcquire: () => 0, settle(_: number, __: Outcome) {} }
    for (const index of indices) {
      this.backends[index].breaker = gate
      this.backends[index].gate = gate
    }
  }

  /** Its pool has no place. */
  fill(...indices: number[]): void {
    for (const index of indices) Object.defineProperty(this.backends[index].pool, 'full', { value: true })
  }
}

export async function serviceBench(
  members: readonly BenchBackend[],
  settings: Record<string, unknown> = {},
  zone = '',
): Promise<ServiceBench> {
  const clock = new FakeClock()
  const faults: unknown[] = []
  const backends = members.map((member, index) => ({
    ...member,
    url: `http://10.0.${index >> 8}.${index & 255}:80`,
  }))
  const services = { app: { backends, key: 'header:k', breaker: false, ...settings } }
  const { snapshot } = await load(`${web}routes: [{ service: app }]\nservices: ${JSON.stringify(services)}`)
  const config = snapshot.services.app
  const table = SharedTable.create({ threads: 1, slots: members.length, services: 1 })
  table.active[0][0] = 1
  const { use, options } = config.algorithm
  const plugin = builtin('algorithm', use)
  const bytes = plugin.buildTable?.(config.backends, parsed(plugin, options) as never)
  const shared = bytes && new Uint8Array(new SharedArrayBuffer(bytes.byteLength))
  shared?.set(bytes as Uint8Array)
  const lookup = async (): Promise<never> => Promise.reject(new Error('no names here'))
  const states = config.backends.map((backend, slot) => {
    const state: HttpBackend = new BackendState(
      'app',
      backend,
      slot,
      new AddressBook(backend.host, clock as never, lookup as never),
    )
    const owner = { open: () => undefined as never, onPlace() {} }
    state.pool = new Pool(owner, { max: 1000, idleMs: 1000 }, table.open[0], table.idle[0], slot)
    return state
  })
  const parts: ConstructorParameters<typeof ServiceRuntime>[0] = {
    placed: {
      config,
      placement: { index: 0, slots: states.map(({ slot }) => slot), table: shared },
    },
    table,
    thread: 0,
    zone,
    now: () => clock.now(),
    random: seeded(11),
    backends: states,
    filters: [],
    queue: new ServiceQueue(table.queued[0], 0),
    algorithm: await algorithm(use, options, threadContext({ seed: 5 })),
    breaker: undefined,
    onFault: (backend: Backend | undefined, hook, error) => faults.push([backend?.url, hook, error]),
  }
  return new ServiceBench(() => new ServiceRuntime(parts), clock, faults)
}
