/** Availability from raw results: `rise`, `fall`, `initial`. Writes `table.health` and the epoch of the service. */
import type { HealthUse } from '../config/snapshot.ts'
import type { HealthResult } from '../contracts/health-source.ts'
import type { Clock, Log } from '../contracts/plugin.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import { backendId } from './placement.ts'
import { health, type SharedTable } from './table.ts'

/** What is known of one backend. */
export interface BackendHealth {
  readonly status: 'unknown' | 'up' | 'down'
  /** Of the last result. */
  readonly reason: string | undefined
  /** How long the last probe took; undefined where the source does not say. */
  readonly ms: number | undefined
  /** Wall clock of the last change of `status`. */
  readonly since: number
}

type State = { -readonly [K in keyof BackendHealth]: BackendHealth[K] } & {
  /** What the last results said, and how many in a row said it. */
  said: 'up' | 'down' | undefined
  inARow: number
}

type Watched = {
  readonly index: number
  readonly use: HealthUse
  readonly slots: ReadonlyMap<string, number>
}

const cellOf = { unknown: health.unknown, up: health.up, down: health.down } as const

export class HealthStates {
  readonly #table: SharedTable
  readonly #clock: Clock
  readonly #log: Log
  readonly #states = new Map<string, State>()
  #watched: ReadonlyMap<string, Watched> = new Map()

  constructor(table: SharedTable, clock: Clock, log: Log) {
    this.#table = table
    this.#clock = clock
    this.#log = log
  }

  get(id: string): BackendHealth | undefined {
    return this.#states.get(id)
  }

  /** Writes the first state of slots that are new, before a thread can see them. */
  place(services: ReadonlyMap<string, PlacedService>, fresh: ReadonlySet<number>): void {
    for (const { config, placement } of services.values()) {
      for (const slot of placement.slots) {
        if (fresh.has(slot)) this.#table.health[slot] = cellOf[initialOf(config.health)]
      }
    }
  }

  /** From now on these are watched. Backends that stay keep their state; without a health source they are unknown. */
  commit(services: ReadonlyMap<string, PlacedService>): void {
    const watched = new Map<string, Watched>()
    const gone = new Set(this.#states.keys())
    for (const [name, { config, placement }] of services) {
      const slots = new Map<string, number>()
      config.backends.forEach((backend, index) => {
        const id = backendId(name, backend.url)
        slots.set(id, placement.slots[index])
        if (!config.health) return
        gone.delete(id)
        if (!this.#states.has(id)) this.#begin(id, placement.slots[index])
      })
      if (config.health) watched.set(name, { index: placement.index, use: config.health, slots })
      else this.#forget(slots, gone, placement.index)
    }
    for (const id of gone) this.#states.delete(id)
    this.#watched = watched
  }

  /** One result. Targets that are not watched are ignored. */
  report(service: string, id: string, result: HealthResult, authoritative: boolean): void {
    const watched = this.#watched.get(service)
    const slot = watched?.slots.get(id)
    const state = this.#states.get(id)
    if (!watched || slot === undefined || !state) return
    const said = result.up ? 'up' : 'down'
    state.reason = result.reason
    state.ms = result.ms
    state.inARow = state.said === said ? state.inARow + 1 : 1
    state.said = said
    if (state.status === said) return
    // Unknown counts as available: the first good result only confirms it.
    const rise = state.status === 'unknown' ? 1 : watched.use.rise
    if (!authoritative && state.inARow < (result.up ? rise : watched.use.fall)) return
    const before = state.status
    this.#set(state, said, watched.index, slot)
    const fields = { service, backend: id.slice(service.length + 1), reason: result.reason, from: before }
    if (said === 'down') this.#log.warn('backend is down', fields)
    else this.#log.info('backend is up', fields)
  }

  /** A backend that served before it was watched stays available until results say otherwise, whatever `initial` is. */
  #begin(id: string, slot: number): void {
    const status = this.#table.health[slot] === health.down ? 'down' : 'unknown'
    const since = this.#clock.wall()
    this.#states.set(id, { status, reason: undefined, ms: undefined, since, said: undefined, inARow: 0 })
  }

  /** The service has no health source any more: its backends are unknown. */
  #forget(slots: ReadonlyMap<string, number>, gone: ReadonlySet<string>, index: number): void {
    for (const [id, slot] of slots) if (gone.has(id)) this.#write(slot, 'unknown', index)
  }

  #set(state: State, status: State['status'], index: number, slot: number): void {
    state.status = status
    state.since = this.#clock.wall()
    this.#write(slot, status, index)
  }

  #write(slot: number, status: State['status'], index: number): void {
    if (this.#table.health[slot] === cellOf[status]) return
    Atomics.store(this.#table.health, slot, cellOf[status])
    Atomics.add(this.#table.epoch, index, 1)
  }
}

/** `initial: up` is unknown until the first result, which counts as available. */
function initialOf(use: HealthUse | undefined): 'unknown' | 'down' {
  return use?.initial === 'down' ? 'down' : 'unknown'
}
