/**
 * What happens in the fleet, as events: it looks at the heads of the store while anybody listens, and reads what has changed.
 * Where the store can be watched it looks as soon as something is hinted at, else once a second. Events of the last while are
 * kept, so that a listener who was cut off can go on where he was.
 */
import { decodeOverrides, overridesDocument } from '../config/overrides.ts'
import { nodePrefix } from '../config/sync/node-lease.ts'
import { configDocument } from '../config/sync/value.ts'
import type { ConfigStore, Head } from '../contracts/config-store.ts'
import type { Log } from '../contracts/plugin.ts'
import type { RawClock, RawTimer } from '../host/clock.ts'
import { recordIn } from './node-routes.ts'
import { viewOf } from './views.ts'

export interface FleetEvent {
  /** `<hub>-<number>`: what `Last-Event-ID` holds. */
  readonly id: string
  /**
   * `config`: a revision; `overrides`: breakers and drains; `node`: a node serves another revision, or was removed; `nack`: a node has refused one;
   * `reset`: events may be missing since the one that was named, read everything anew.
   */
  readonly event: 'config' | 'overrides' | 'node' | 'nack' | 'reset'
  readonly data: Readonly<Record<string, unknown>>
  /** All of it as it is sent: made once, however many listen. */
  readonly text: string
}

export interface EventHubDeps {
  readonly store: ConfigStore
  readonly clock: RawClock
  readonly log: Log
  /** Unique for this hub; letters and digits. */
  readonly id: string
}

const pollMs = 1000
/** While the store's own watch works. */
const reconcileMs = 15_000
/** Hints that come together are one look. */
const settleMs = 25
const kept = 512
/** Of their texts together, in bytes: also the most that is sent to one who comes back, and that may wait for one who reads too slowly. */
export const mostKept = 256 * 1024
/** How long a hub without listeners goes on, for one that comes back. */
const lingerMs = 60_000

type Listener = (event: FleetEvent) => void

export class EventHub {
  readonly #deps: EventHubDeps
  readonly #listeners = new Set<Listener>()
  #events: { readonly event: FleetEvent; readonly bytes: number }[] = []
  /** Of the events that are kept. */
  #bytes = 0
  #number = 0
  /** Revision of each document, by its name; undefined: nothing was looked at yet. */
  #seen: Map<string, string> | undefined
  readonly #nodes = new Map<string, { applied: string; nack: string }>()
  #looking: Promise<void> | undefined
  #again = false
  #watching: { close(): void } | undefined
  #isWatched = false
  #timer: RawTimer | undefined
  #timerAt = 0
  #linger: RawTimer | undefined
  #stopped = false

  constructor(deps: EventHubDeps) {
    this.#deps = deps
  }

  /**
   * From now on `listen` is called with each event.
   * @param last id of the last event that was heard; what came since, or a `reset`, is heard first
   */
  async subscribe(last: string | undefined, listen: Listener): Promise<{ close(): void }> {
    if (this.#seen === undefined) await this.#start()
    this.#linger?.cancel()
    for (const event of this.#missed(last)) listen(event)
    this.#listeners.add(listen)
    return { close: () => this.#leave(listen) }
  }

  get listeners(): number {
    return this.#listeners.size
  }

  /** Nothing is heard any more. */
  stop(): void {
    this.#stopped = true
    this.#listeners.clear()
    this.#rest()
  }

  #leave(listen: Listener): void {
    this.#listeners.delete(listen)
    if (this.#listeners.size > 0 || this.#stopped) return
    this.#linger?.cancel()
    this.#linger = this.#deps.clock.after(lingerMs, () => {
      if (this.#listeners.size === 0) this.#rest()
    })
  }

  #rest(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#linger?.cancel()
    this.#watching?.close()
    this.#watching = undefined
    this.#isWatched = false
    this.#seen = undefined
    this.#events = []
    this.#bytes = 0
    // Whoever comes back with the last id has missed what nobody looked at.
    this.#number++
    this.#nodes.clear()
  }

  /** @throws MR_STORE_* when there is nothing to begin from */
  async #start(): Promise<void> {
    const { store } = this.#deps
    const heads = await store.heads('')
    // Another listener has begun meanwhile.
    if (this.#seen !== undefined || this.#stopped) return
    this.#seen = new Map(heads.map((head) => [head.document, keyOf(head)]))
    this.#watching = store.watch?.([''], {
      hint: () => this.#soon(settleMs),
      bus: (state) => {
        this.#isWatched = state === 'up'
        this.#soon(settleMs)
      },
    })
    this.#soon(pollMs)
  }

  #missed(last: string | undefined): readonly FleetEvent[] {
    if (last === undefined) return []
    const [hub, number] = [
      last.slice(0, last.lastIndexOf('-')),
      Number(last.slice(last.lastIndexOf('-') + 1)),
    ]
    const oldest = this.#number - this.#events.length
    const isKnown =
      hub === this.#deps.id && Number.isInteger(number) && number >= oldest && number <= this.#number
    if (isKnown) return this.#events.slice(number - oldest).map(({ event }) => event)
    return [resetAt(`${this.#deps.id}-${this.#number}`)]
  }

  /** No later than that: hints that do not end put nothing off. */
  #soon(ms: number): void {
    if (this.#stopped || this.#seen === undefined) return
    const { clock } = this.#deps
    const at = clock.now() + ms
    if (this.#timer && this.#timerAt <= at) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = clock.after(ms, () => {
      this.#timer = undefined
      void this.#look()
    })
  }

  async #look(): Promise<void> {
    this.#again = true
    this.#looking ??= this.#run().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
    this.#soon(this.#isWatched ? reconcileMs : pollMs)
  }

  async #run(): Promise<void> {
    while (this.#again && this.#seen !== undefined) {
      this.#again = false
      try {
        await this.#compare(this.#seen, await this.#deps.store.heads(''))
      } catch (error) {
        // The engine of the config says that the store is down; the next look sees what came meanwhile.
        this.#deps.log.debug('events: the store cannot be asked', { error })
      }
    }
  }

  async #compare(seen: Map<string, string>, heads: readonly Head[]): Promise<void> {
    for (const head of heads) {
      const { document } = head
      if (seen.get(document) === keyOf(head)) continue
      if (document === configDocument) this.#tell('config', { ...viewOf(head) })
      else if (document === overridesDocument) await this.#tellOverrides(head)
      else if (document.startsWith(nodePrefix)) await this.#tellNode(head)
      seen.set(document, keyOf(head))
    }
  }

  async #tellOverrides(head: Head): Promise<void> {
    const { store, clock, log } = this.#deps
    const found = await store.get(overridesDocument)
    if (!found) return
    try {
      const { breakers, drains } = decodeOverrides(found.value, found.revision.number)
      this.#tell('overrides', { ...viewOf(found), breakers, drains })
    } catch (error) {
      log.warn('events: the overrides cannot be understood', { error, revision: head.revision.number })
      this.#tell('overrides', { ...viewOf(found), at: new Date(clock.wall()).toISOString() })
    }
  }

  async #tellNode({ document, tombstone }: Head): Promise<void> {
    const node = document.slice(nodePrefix.length)
    if (tombstone) {
      this.#nodes.delete(node)
      this.#tell('node', { node, removed: true })
      return
    }
    const found = await this.#deps.store.get(document)
    const { config } = recordIn(found?.value ?? null) as { config?: Record<string, unknown> }
    if (!config) return
    const { applied = null, nack = null, from = null } = config
    const before = this.#nodes.get(node)
    const now = { applied: JSON.stringify(applied), nack: JSON.stringify(nack) }
    this.#nodes.set(node, now)
    if (now.applied !== before?.applied) this.#tell('node', { node, applied, from })
    if (nack !== null && now.nack !== before?.nack) this.#tell('nack', { node, nack })
  }

  #tell(event: FleetEvent['event'], data: FleetEvent['data']): void {
    const told = eventOf(`${this.#deps.id}-${++this.#number}`, event, data)
    const bytes = Buffer.byteLength(told.text)
    this.#events.push({ event: told, bytes })
    this.#bytes += bytes
    while (this.#events.length > kept || this.#bytes > mostKept)
      this.#bytes -= this.#events.shift()?.bytes ?? 0
    for (const listen of this.#listeners) listen(told)
  }
}

function eventOf(id: string, event: FleetEvent['event'], data: FleetEvent['data']): FleetEvent {
  return { id, event, data, text: `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n` }
}

/** @param id of the newest event: what comes after it is heard */
export function resetAt(id: string): FleetEvent {
  return eventOf(id, 'reset', { message: 'events may be missing: read everything anew' })
}

const keyOf = ({ revision }: Head): string => `${revision.number}:${revision.id}`
