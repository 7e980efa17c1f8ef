/**
 * Who is in the fleet, by the durable records `node/<id>` of its store. Read beside everything else, and only where a plugin asks.
 * Nobody deletes the record of an LB server that is gone: it is left out once its lease, of the same name, was missing for long.
 */
import type { ConfigStore } from '../contracts/config-store.ts'
import type { Log, Timer } from '../contracts/plugin.ts'
import type { FleetNode, Members } from '../contracts/process.ts'
import type { RawClock, RawTimer } from '../host/clock.ts'
import { parseNodeAddress } from './address.ts'

export interface MembersDeps {
  readonly self: FleetNode
  readonly store: Pick<ConfigStore, 'heads' | 'get' | 'leases'>
  readonly clock: RawClock
  random(): number
  readonly log: Log
  /** How often the records are looked at (jitter ± 25 %); default 10 s. After a failure 2 s. */
  readonly lookMs?: number
  /** An LB server whose lease was missing in all looks of so long is gone; default 10 min. */
  readonly goneMs?: number
}

interface Known {
  /** Id of the revision that the record was read in. */
  readonly revision: string
  /** Undefined: no node's record. */
  readonly node: FleetNode | undefined
  /** For how long looks have not found its lease; undefined: the last has. */
  missedMs: number | undefined
}

const prefix = 'node/'
const againMs = 2000
const defaultLookMs = 10_000
const defaultGoneMs = 600_000

export class StoreMembers implements Members {
  readonly self: FleetNode
  readonly #deps: MembersDeps
  /** By document. */
  readonly #records = new Map<string, Known>()
  /** When the leases were seen last. */
  #leasesAt: number | undefined
  readonly #watchers = new Set<() => void>()
  #all: readonly FleetNode[]
  #timer: RawTimer | undefined
  #began = false
  #stopped = false

  constructor(deps: MembersDeps) {
    this.#deps = deps
    this.self = deps.self
    this.#all = [deps.self]
  }

  all(): readonly FleetNode[] {
    this.#begin()
    return this.#all
  }

  watch(changed: () => void): Timer {
    this.#begin()
    const watcher = (): void => changed()
    this.#watchers.add(watcher)
    return { cancel: () => void this.#watchers.delete(watcher) }
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#watchers.clear()
  }

  #begin(): void {
    if (this.#began || this.#stopped) return
    this.#began = true
    void this.#look()
  }

  async #look(): Promise<void> {
    const { clock, random, log, lookMs = defaultLookMs } = this.#deps
    let waitMs = lookMs
    try {
      await this.#read()
    } catch (error) {
      // The engine says that the store is down; who was there stays.
      log.debug('the records of the nodes cannot be read', { error })
      waitMs = Math.min(lookMs, againMs)
    }
    if (this.#stopped) return
    this.#timer = clock.after(waitMs * (0.75 + random() / 2), () => void this.#look())
  }

  async #read(): Promise<void> {
    const { store } = this.#deps
    const heads = await store.heads(prefix)
    const there = new Set(heads.map(({ document }) => document))
    for (const document of this.#records.keys()) if (!there.has(document)) this.#records.delete(document)
    const isAlone = heads.every(({ document }) => document === `${prefix}${this.self.id}`)
    const holders = isAlone ? undefined : await this.#holders()
    for (const { document, revision, tombstone } of heads) {
      const known = this.#records.get(document)
      if (known?.revision === revision.id) continue
      // Of one start only what it serves changes: else all would read all records with each change of the config.
      if (known?.node && !tombstone && holders?.get(document) === holderOf(known.node)) continue
      const value = tombstone ? null : ((await store.get(document))?.value ?? null)
      this.#records.set(document, {
        revision: revision.id,
        node: nodeOf(document, value),
        missedMs: undefined,
      })
    }
    this.#show()
    if (holders) this.#judge(holders)
    this.#show()
  }

  /** Of the leases, by name; undefined: they cannot be read. */
  async #holders(): Promise<ReadonlyMap<string, string> | undefined> {
    const { store, log } = this.#deps
    try {
      return new Map((await store.leases(prefix)).map(({ name, holder }) => [name, holder]))
    } catch (error) {
      // Who was there stays, and who is new is seen all the same.
      log.debug('the leases of the nodes cannot be read', { error })
      return undefined
    }
  }

  #judge(holders: ReadonlyMap<string, string>): void {
    const { clock, lookMs = defaultLookMs } = this.#deps
    const now = clock.now()
    // Nobody was looking in a longer pause (a store that was away, a process that stood still).
    const passed = Math.min(now - (this.#leasesAt ?? now), 2 * lookMs)
    this.#leasesAt = now
    // A store that has just lost all leases says nothing about the nodes.
    if (holders.size === 0) return
    for (const [document, known] of this.#records) {
      const before = known.missedMs
      if (holders.has(document)) known.missedMs = undefined
      else known.missedMs = before === undefined ? 0 : before + passed
    }
  }

  /** Others than LB servers hold none. */
  #needsLease({ node }: Known): boolean {
    return node?.role === 'lb' && node.id !== this.self.id
  }

  #isGone(known: Known): boolean {
    return this.#needsLease(known) && (known.missedMs ?? 0) >= (this.#deps.goneMs ?? defaultGoneMs)
  }

  #show(): void {
    const others = [...this.#records.values()].flatMap((known) =>
      this.#isGone(known) ? [] : (known.node ?? []),
    )
    const all = [...others.filter(({ id }) => id !== this.self.id), this.self].sort((a, b) =>
      a.id < b.id ? -1 : 1,
    )
    const isSame = JSON.stringify(all) === JSON.stringify(this.#all)
    if (isSame || this.#stopped) return
    this.#all = all
    for (const watcher of [...this.#watchers]) watcher()
  }
}

/** As a node holds its lease. */
const holderOf = ({ id, boot }: FleetNode): string => `${id}/${boot}`

const roles = ['lb', 'orchestrator', 'dns']

/** Undefined: not a record of a node, or of one that nobody reaches. */
function nodeOf(document: string, value: Uint8Array | null): FleetNode | undefined {
  let record: Partial<Record<keyof FleetNode, unknown>>
  try {
    record = JSON.parse(Buffer.from(value ?? []).toString()) ?? {}
  } catch {
    return undefined
  }
  const { id, boot, role, address, zone } = record
  if (typeof id !== 'string' || typeof boot !== 'string' || document !== `${prefix}${id}`) return undefined
  if (typeof address !== 'string' || parseNodeAddress(address) === undefined) return undefined
  if (!roles.includes(role as string)) return undefined
  return { id, boot, role: role as FleetNode['role'], address, zone: typeof zone === 'string' ? zone : '' }
}
