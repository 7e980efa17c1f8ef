/**
 * What this node says of itself in the store, document `node/<id>`: which revision it serves (ACK), and which it has refused and
 * why (NACK). Written beside everything else: nothing waits for it. Of several changes only the last is written; other
 * parts of the record are kept as they are. Now and then it is read: a store may have lost the write, and somebody may have removed
 * the record of a node that only seemed to be gone.
 * A record that a newer version of this node has left is replaced as a whole: it is this node's own, and tells what runs now.
 *
 * All nodes take a change at the same time, and the store has better things to do then than to hear that they did: so an ACK is
 * written a little later, and not by all at once. A NACK, a fork and the first record of a start are written at once.
 */
import type { ConfigStore, Document, PutResult, WriteNote } from '../../contracts/config-store.ts'
import type { Log } from '../../contracts/plugin.ts'
import type { FleetNode } from '../../contracts/process.ts'
import type { RawClock, RawTimer } from '../../host/clock.ts'
import { canonical } from '../canonical.ts'
import { overridesSchema } from '../overrides.ts'
import type { Fork, Nack, RevisionAt } from './state.ts'

/** Part `config` of the record. */
export interface ConfigReport {
  /** Newest schema of configs that this node reads: what a writer has to look at. */
  readonly schema: number
  readonly applied: RevisionAt | null
  readonly from: 'store' | 'last-known-good' | null
  readonly nack: Nack | null
  readonly fork: Fork | null
}

export interface NodeRecordDeps {
  readonly store: Pick<ConfigStore, 'get' | 'put'>
  readonly clock: RawClock
  readonly log: Log
  /** Who this is; all of it stands in the record. */
  readonly node: Pick<FleetNode, 'id' | 'boot'> & Partial<FleetNode>
  random(): number
  /** Unique, at least 64 random bits. */
  newId(): string
  /** How seldom it is read again to see whether it still says so; default 60 s. */
  readonly checkMs?: number
}

const usualCheckMs = 60_000
/** An ACK is written so long after what it tells of, and up to so much later. */
const ackAfterMs = { least: 100, more: 200 }
const conflictTries = 5
const slowestRetryMs = 10_000
/** Of the record. */
const recordSchema = 1
/** The reason of a refusal may be long; a record is read by people and often. */
const longestReason = 4000

export class NodeRecord {
  readonly #deps: NodeRecordDeps
  readonly #document: string
  #wanted: ConfigReport | undefined
  #written = ''
  #checkedAt = Number.NEGATIVE_INFINITY
  /** Counts calls of {@link lost}. */
  #losses = 0
  /** The record as this node wrote it last: where nobody has written to it since it need not be read. */
  #last: Pick<Document, 'revision' | 'value' | 'note'> | undefined
  #running = false
  #failures = 0
  /** Until an ACK is due; after a failure, until the next try. */
  #timer: RawTimer | undefined
  #stopped = false

  constructor(deps: NodeRecordDeps) {
    this.#deps = deps
    this.#document = `node/${deps.node.id}`
  }

  /** To be called now and then, also where nothing has changed. */
  set(report: ConfigReport): void {
    this.#wanted = report
    // A store that has failed is tried again in its own time; what is being written is looked at again when it is.
    if (this.#running || (this.#failures > 0 && this.#timer)) return
    if (report.nack || report.fork || this.#written === '') void this.#run()
    else if (!this.#timer && (canonical(report) !== this.#written || this.#isToBeChecked)) {
      const { clock, random } = this.#deps
      this.#timer = clock.after(ackAfterMs.least + random() * ackAfterMs.more, () => void this.#run())
    }
  }

  /** The store may not have it any more. */
  lost(): void {
    this.#losses++
    this.#written = ''
    this.#last = undefined
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #run(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#running) return
    this.#running = true
    try {
      while (this.#wanted && !this.#stopped) {
        const report = this.#wanted
        const text = canonical(report)
        if (text !== this.#written || this.#isToBeChecked) {
          const losses = this.#losses
          // To see what stands there it has to be read.
          if (this.#isToBeChecked) this.#last = undefined
          await this.#write(report)
          this.#written = losses === this.#losses ? text : ''
          this.#checkedAt = this.#deps.clock.now()
        }
        this.#failures = 0
        if (this.#wanted === report) this.#wanted = undefined
      }
    } catch (error) {
      this.#later(error)
    } finally {
      this.#running = false
    }
  }

  get #isToBeChecked(): boolean {
    const { clock, checkMs = usualCheckMs } = this.#deps
    return clock.now() - this.#checkedAt >= checkMs
  }

  #later(error: unknown): void {
    if (this.#stopped) return
    const { clock, log } = this.#deps
    // The engine says that the store is down; once is enough here.
    if (this.#failures === 0) log.debug(`${this.#document} cannot be written yet`, { error })
    const ms = Math.min(slowestRetryMs, 250 * 2 ** Math.min(this.#failures++, 10))
    this.#timer = clock.after(ms, () => void this.#run())
  }

  /** What stands there already is not written again. */
  async #write(report: ConfigReport): Promise<void> {
    for (let tries = 0; tries < conflictTries && !this.#stopped; tries++) {
      const { store } = this.#deps
      const now = this.#last ?? (await store.get(this.#document, { fresh: tries > 0 }))
      this.#last = undefined
      const isKnown = (now?.note.schema ?? recordSchema) <= recordSchema
      const value = this.#valueOf(now && isKnown ? now.value : null, report)
      if (now?.value && isKnown && Buffer.compare(now.value, value) === 0) return
      const expect = now && { number: now.revision.number, id: now.revision.id }
      const result = await this.#put(value, expect)
      if (result.status === 'committed') {
        this.#last = { revision: result.revision, value, note: this.#note() }
        return
      }
      if (result.status === 'unknown') throw result.cause
    }
    if (!this.#stopped) throw new Error(`others keep writing ${this.#document}`)
  }

  /** Of unknown outcome: the same write again, which takes effect at most once. */
  async #put(value: Uint8Array, expect: { number: number; id: string } | null): Promise<PutResult> {
    const { store, newId } = this.#deps
    const writeId = newId()
    let result: PutResult = { status: 'unknown', cause: undefined }
    for (let tries = 0; tries < 3 && result.status === 'unknown'; tries++)
      result = await store.put(this.#document, value, expect, writeId, this.#note())
    return result
  }

  #note(): WriteNote {
    return { by: this.#deps.node.id }
  }

  #valueOf(before: Uint8Array | null, report: ConfigReport): Uint8Array {
    const nack = report.nack && { ...report.nack, reason: report.nack.reason.slice(0, longestReason) }
    const reads = { overrides: { schema: overridesSchema } }
    const own = { ...this.#deps.node, ...reads, config: { ...report, nack } }
    return Buffer.from(canonical({ ...record(before), ...own }))
  }
}

/** What cannot be read is nobody's, and written anew. */
function record(value: Uint8Array | null): Record<string, unknown> {
  try {
    const data: unknown = JSON.parse(Buffer.from(value ?? []).toString())
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? { ...data } : {}
  } catch {
    return {}
  }
}
