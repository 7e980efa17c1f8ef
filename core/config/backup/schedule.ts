/**
 * Backups by themselves: a full one each week, an incremental one each day, by whichever node holds the lock `backup`. When the last
 * ones were made stands in the store, document `backups`, so that it does not matter which node makes the next.
 */
import { z } from 'zod'
import type { ConfigStore, PutResult, RevisionRef } from '../../contracts/config-store.ts'
import type { Lock, Locker } from '../../contracts/lock.ts'
import type { Log } from '../../contracts/plugin.ts'
import type { RawClock } from '../../host/clock.ts'
import { MillraceError } from '../../host/errors.ts'
import { pause } from '../../host/pause.ts'
import { canonical } from '../canonical.ts'
import { checkKnown } from '../sync/schema-gate.ts'
import type { BackupState } from '../sync/state.ts'
import type { BackupTarget } from './directory.ts'
import { type Backup, baseOf, takeBackup } from './take.ts'

export const backupLock = 'backup'
export const backupsDocument = 'backups'

const refs = z.record(z.string(), z.object({ number: z.int(), id: z.string() }))
/** What cannot be read is nobody's, and written anew. */
const stateSchema = z.object({
  /** Wall clock, milliseconds. */
  fullAt: z.number().optional(),
  last: z
    .object({ name: z.string(), at: z.number(), lineage: z.string(), heads: refs, sha256: z.string() })
    .optional(),
  /** Since the last that was made. */
  failed: z.object({ at: z.number(), node: z.string(), reason: z.string() }).optional(),
})
type State = z.output<typeof stateSchema>

interface Read {
  readonly state: State
  readonly head: RevisionRef | null
}

export interface ScheduleDeps {
  readonly store: ConfigStore
  readonly locker: Locker
  readonly target: BackupTarget
  readonly clock: RawClock
  random(): number
  readonly log: Log
  readonly fleet: string
  /** Id of this node, for people. */
  readonly node: string
  readonly incrementalMs: number
  readonly fullMs: number
  /** Full backups that stay, where the target can be looked through. */
  readonly keep: number
  /** Unique id of a write. */
  newId(): string
}

const lockTtlMs = 30_000
/** How seldom the store is asked whether one is due; also after a failure. */
const lookMs = 300_000
/** A time of another node's clock may be ahead of this one's by so much. */
const clocksApartMs = 3_600_000

export class BackupSchedule {
  readonly #deps: ScheduleDeps
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #seen: State = {}
  #failing = false

  constructor(deps: ScheduleDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#running ??= this.#run()
  }

  get state(): BackupState {
    return { madeAt: this.#seen.last?.at, failing: this.#failing || this.#seen.failed !== undefined }
  }

  /** Settles when none is being made any more. Idempotent; never rejects. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#deps
    while (!this.#stop.signal.aborted) {
      const ms = await this.#once()
      // Nodes that have started together do not ask together.
      await pause(clock, ms + lookMs * 0.1 * random(), [this.#stop.signal])
    }
  }

  /** @returns when to look again, in milliseconds */
  async #once(): Promise<number> {
    try {
      const { state } = await this.#read()
      if (!this.#due(state)) return this.#untilDue(state)
      const lock = await this.#deps.locker.acquire(backupLock, {
        ttlMs: lockTtlMs,
        signal: this.#stop.signal,
      })
      if (!lock) return lookMs
      try {
        return await this.#make(lock)
      } finally {
        await lock.release()
      }
    } catch (error) {
      await this.#failed(error)
      return lookMs
    }
  }

  /** Another may have made it while the lock was waited for. */
  async #make(lock: Lock): Promise<number> {
    const { store, target, clock, log, fleet, keep } = this.#deps
    const { state } = await this.#read()
    const kind = this.#due(state)
    if (!kind) return this.#untilDue(state)
    const at = clock.wall()
    const base = kind === 'incremental' ? state.last : undefined
    const { signal } = this.#stop
    const backup = await takeBackup({ store, fleet, at, base, signal })
    // There is no config yet.
    if (!backup) return lookMs
    if (!lock.valid()) throw new MillraceError('MR_FENCED', 'the lock was lost while the store was read')
    await target.write(backup, signal)
    const next = stateAfter(state, backup)
    await this.#write(next)
    this.#failing = false
    const { name, revisions, sha256 } = backup
    const dropped = (await target.prune?.(fleet, keep, name)) ?? []
    log.info(`backup: ${name} is in ${target.place}`, { revisions, sha256, dropped: dropped.length })
    return this.#untilDue(next)
  }

  #due({ fullAt, last }: State): 'full' | 'incremental' | undefined {
    const { incrementalMs, fullMs } = this.#deps
    if (fullAt === undefined || this.#passed(fullAt) >= fullMs) return 'full'
    return last === undefined || this.#passed(last.at) >= incrementalMs ? 'incremental' : undefined
  }

  #untilDue({ fullAt = 0, last }: State): number {
    const { incrementalMs, fullMs } = this.#deps
    const next = Math.min(fullMs - this.#passed(fullAt), incrementalMs - this.#passed(last?.at ?? 0))
    return Math.min(lookMs, Math.max(0, next))
  }

  /** Since then. A time that lies in the future is none: somebody's clock was wrong. */
  #passed(at: number): number {
    const ms = this.#deps.clock.wall() - at
    return ms < -clocksApartMs ? Number.POSITIVE_INFINITY : ms
  }

  async #failed(error: unknown): Promise<void> {
    const { log, target, node, clock } = this.#deps
    if (this.#stop.signal.aborted) return
    const code = error instanceof MillraceError ? error.code : 'MR_BACKUP'
    const reason = error instanceof Error ? error.message : String(error)
    this.#failing = true
    log.error(`backup: none could be made, and it is tried again: ${reason}`, { code, to: target.place })
    try {
      const { state, head } = await this.#read()
      const failed = { at: clock.wall(), node, reason: reason.slice(0, 1000) }
      // On top of just that: what another has made since is not written over.
      await this.#put({ ...state, failed }, head)
    } catch {
      // The store is what fails: the log has said so.
    }
  }

  async #read(): Promise<Read> {
    const document = await this.#deps.store.get(backupsDocument, { fresh: true })
    if (!document) return { state: {}, head: null }
    checkKnown(backupsDocument, document.note)
    const { number, id } = document.revision
    this.#seen = parse(document.value)
    // Another node has made one since.
    if (this.#seen.failed === undefined) this.#failing = false
    return { state: this.#seen, head: { number, id } }
  }

  /** On top of what is there now: only the holder of the lock writes more than a failure. */
  async #write(state: State): Promise<void> {
    const { head } = await this.#read()
    if ((await this.#put(state, head)) !== 'committed')
      this.#deps.log.warn('backup: when it was made could not be noted: the next one comes early')
  }

  async #put(state: State, head: RevisionRef | null): Promise<PutResult['status']> {
    const { store, newId, node } = this.#deps
    const id = newId()
    let result: PutResult = { status: 'unknown', cause: undefined }
    for (let tries = 0; tries < 3 && result.status === 'unknown'; tries++)
      result = await store.put(backupsDocument, Buffer.from(canonical(state)), head, id, { by: node })
    if (result.status === 'committed') this.#seen = state
    return result.status
  }
}

function stateAfter({ fullAt }: State, backup: Backup): State {
  const { name, header, sha256 } = backup
  const { lineage, heads } = baseOf(backup)
  return {
    fullAt: header.kind === 'full' ? header.at : fullAt,
    last: { name, at: header.at, lineage, heads: { ...heads }, sha256 },
  }
}

function parse(value: Uint8Array | null): State {
  try {
    return stateSchema.parse(JSON.parse(Buffer.from(value ?? []).toString()))
  } catch {
    return {}
  }
}
