/**
 * One change of the config, from a validated snapshot to all threads serving it: numbers are planned, tables built, new
 * addresses probed, health sources made, then the threads prepare and commit. Whatever refuses, nothing has changed.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Snapshot } from '../config/snapshot.ts'
import type { Clock, Log } from '../contracts/plugin.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import { CommitQueue, transact, type Verdict } from './commit.ts'
import type { HealthRunner } from './health.ts'
import { type ErrorData, errorData } from './messages.ts'
import { backendIds, placeServices } from './placement.ts'
import { probeListeners, probeSocketPath } from './probe-bind.ts'
import type { SlotPlan, SlotPool } from './slots.ts'
import { shareUnchanged } from './snapshot-delta.ts'
import type { Supervisor } from './supervise.ts'
import type { ThreadLink } from './thread-link.ts'

/** How long to wait for successors of threads that died, before a change is tried once more. */
const wholeAgainMs = 15_000

export interface ApplyResult {
  /** `superseded`: a newer change came while this one waited for its turn. */
  readonly status: 'applied' | 'unchanged' | 'refused' | 'superseded'
  /** What is served now. */
  readonly revision: number
  /** Why it was refused. */
  readonly problems: readonly ErrorData[]
}

export interface ApplierDeps {
  readonly clock: Clock
  readonly log: Log
  readonly registry: PluginRegistry
  readonly supervisor: Supervisor
  readonly health: HealthRunner
  readonly slots: SlotPool
  readonly services: SlotPool
  /** The snapshot is the one served from now on. */
  committed(snapshot: ThreadSnapshot): void
}

/** Everything that a change has taken and must give back when it is refused. */
type Draft = {
  readonly slots: SlotPlan
  readonly services: SlotPlan
  readonly snapshot: ThreadSnapshot
  readonly health: Awaited<ReturnType<HealthRunner['prepare']>>
}

export class Applier {
  readonly #deps: ApplierDeps
  readonly #queue: CommitQueue<Snapshot, ApplyResult>
  #txn = 0
  #served: ThreadSnapshot | undefined
  /** What `#served` was made from. */
  #source: Snapshot | undefined

  constructor(deps: ApplierDeps) {
    this.#deps = deps
    const superseded = (): ApplyResult => this.#result('superseded')
    this.#queue = new CommitQueue((snapshot) => this.#apply(snapshot), superseded)
  }

  get served(): ThreadSnapshot | undefined {
    return this.#served
  }

  /** Never throws: what is wrong stands in the result. */
  apply(snapshot: Snapshot): Promise<ApplyResult> {
    return this.#queue.change(snapshot)
  }

  /** Brings the served snapshot to the successor of a dead thread. */
  join(link: ThreadLink): Promise<void> {
    return this.#queue.join(() => this.#join(link))
  }

  /** Frees the numbers that no thread uses any more. */
  release(): void {
    const links = this.#deps.supervisor.online()
    const revision = Math.min(...links.map((link) => link.released))
    this.#deps.slots.release(revision)
    this.#deps.services.release(revision)
  }

  async #apply(source: Snapshot): Promise<ApplyResult> {
    if (this.#source && sameSnapshot(this.#source, source)) return this.#result('unchanged')
    try {
      const first = await this.#attempt(source)
      if (first.outcome !== 'died') return this.#answer(first)
      // A thread was lost on the way. Had the config killed it, it will do so again.
      await first.cleared
      await this.#deps.supervisor.whole(wholeAgainMs)
      return this.#answer(await this.#attempt(source))
    } catch (error) {
      return this.#result('refused', [errorData(error, 'MR_CONFIG_INVALID')])
    }
  }

  async #attempt(source: Snapshot): Promise<Verdict> {
    const { supervisor } = this.#deps
    if (!(await supervisor.some(wholeAgainMs))) {
      const problems = [{ code: 'MR_THREAD', message: 'no data thread is there to take the config' } as const]
      return { outcome: 'refused', problems, cleared: Promise.resolve() }
    }
    const draft = await this.#draft(source)
    const participants = supervisor.online()
    const verdict = await transact(participants, ++this.#txn, draft.snapshot, () =>
      this.#commit(source, draft),
    )
    if (verdict.outcome === 'committed') {
      for (const link of participants) supervisor.serving(link)
      this.release()
      return verdict
    }
    const cleared = verdict.cleared.then(() => this.#abandon(draft.slots, draft.services))
    await this.#deps.health.discard(draft.health)
    return { ...verdict, cleared }
  }

  async #draft(source: Snapshot): Promise<Draft> {
    const { health, registry } = this.#deps
    const slots = this.#deps.slots.plan(backendIds(source))
    let services: SlotPlan | undefined
    try {
      services = this.#deps.services.plan(Object.keys(source.services))
      const placed = await placeServices(source, slots, services, this.#served, registry)
      const ports = await probeListeners(
        source.listeners,
        this.#served?.listeners ?? [],
        this.#served?.ports ?? {},
      )
      const revision = (this.#served?.revision ?? 0) + 1
      const snapshot = shareUnchanged(this.#served, { ...source, revision, ports, services: placed })
      const prepared = await health.prepare(placed)
      health.place(prepared, new Set(slots.fresh.map(({ slot }) => slot)))
      return { slots, services, snapshot, health: prepared }
    } catch (error) {
      this.#abandon(slots, services)
      throw error
    }
  }

  #commit(source: Snapshot, draft: Draft): void {
    const { revision } = draft.snapshot
    this.#served = draft.snapshot
    this.#source = source
    this.#deps.slots.commit(draft.slots, revision)
    this.#deps.services.commit(draft.services, revision)
    this.#deps.health.commit(draft.health)
    this.#deps.committed(draft.snapshot)
  }

  #abandon(slots: SlotPlan, services: SlotPlan | undefined): void {
    this.#deps.slots.abandon(slots)
    if (services) this.#deps.services.abandon(services)
  }

  async #join(link: ThreadLink): Promise<void> {
    const snapshot = this.#served
    if (!snapshot || !link.alive || link.revision === snapshot.revision) return
    const { log, supervisor } = this.#deps
    if (link.thread === 0) {
      for (const listener of snapshot.listeners) {
        if (listener.socketPath) await probeSocketPath(listener).catch((error) => log.error(String(error)))
      }
    }
    const verdict = await transact([link], ++this.#txn, snapshot, () => {})
    if (verdict.outcome === 'committed') {
      supervisor.serving(link)
      this.release()
      return
    }
    for (const problem of verdict.problems) {
      log.error('a new data thread cannot take the config', { thread: link.thread, ...problem })
    }
    // Its successor tries again, later each time.
    await link.kill()
  }

  #answer(verdict: Verdict): ApplyResult {
    return verdict.outcome === 'committed'
      ? this.#result('applied')
      : this.#result('refused', verdict.problems)
  }

  #result(status: ApplyResult['status'], problems: readonly ErrorData[] = []): ApplyResult {
    return { status, revision: this.#served?.revision ?? 0, problems }
  }
}

function sameSnapshot(a: Snapshot, b: Snapshot): boolean {
  return isDeepStrictEqual({ ...a, revision: 0 }, { ...b, revision: 0 })
}
