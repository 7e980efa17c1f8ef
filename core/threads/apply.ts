/**
 * One change of the config, from a validated snapshot to all threads serving it: numbers are planned, tables built, new
 * addresses probed, health sources made, then the threads prepare and commit. Whatever refuses, nothing has changed.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/snapshot.ts'
import { shipPlugins } from '../host/loader.ts'
import type { LoadedPlugin, PluginRegistry } from '../host/registry.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import type { PreparedAccessLog } from './access-log-switch.ts'
import type { ApplierDeps, ApplyResult, Change } from './apply-deps.ts'
import { CommitQueue, transact, type Verdict } from './commit.ts'
import { Handover } from './handover.ts'
import type { HealthRunner } from './health.ts'
import { type ErrorData, errorData } from './messages.ts'
import { placeServices } from './placement.ts'
import { codeVersion } from './plugin-code.ts'
import { probeListeners, probeSocketPath } from './probe-bind.ts'
import { Recovery } from './recovery.ts'
import type { Plan } from './shared-state.ts'
import { shareUnchanged } from './snapshot-delta.ts'
import type { Target, ThreadLink } from './thread-link.ts'

/** How long to wait for successors of threads that died, before a change is tried once more. */
const wholeAgainMs = 15_000

export type { ApplyResult } from './apply-deps.ts'

/** Everything that a change has taken and must give back when it is refused. */
type Draft = {
  readonly plan: Plan
  readonly target: Target
  readonly health: Awaited<ReturnType<HealthRunner['prepare']>>
  readonly accessLog: PreparedAccessLog
}

export class Applier {
  readonly #deps: ApplierDeps
  readonly #queue: CommitQueue<Change, ApplyResult>
  #txn = 0
  #served: Target | undefined
  /** What `#served` was made from. */
  #source: Change | undefined
  /** What is being tried now. */
  #tried: PluginRegistry | undefined
  readonly #recovery: Recovery
  readonly handover: Handover
  #stopped = false

  constructor(deps: ApplierDeps) {
    this.#deps = deps
    this.#recovery = new Recovery(deps.pluginHealth)
    const { clock, log, supervisor, longestHistory, closingMs } = deps
    this.handover = new Handover({
      ...{ clock, log, supervisor, longestHistory, closingMs },
      bring: (next) => this.#bring(next),
      timeoutMs: () => this.served?.drain.timeoutMs ?? 0,
    })
    const superseded = (): ApplyResult => this.#result('superseded')
    this.#queue = new CommitQueue((change) => this.#apply(change), superseded)
  }

  get served(): ThreadSnapshot | undefined {
    return this.#served?.snapshot
  }

  /**
   * Never throws: what is wrong stands in the result.
   * @param registry absent: the plugins stay what they are
   */
  apply(config: Config, registry?: PluginRegistry): Promise<ApplyResult> {
    return this.#queue.change({ config, registry: registry ?? this.#source?.registry ?? this.#deps.registry })
  }

  /** The plugins that threads run, and those that are being tried. */
  get plugins(): readonly LoadedPlugin[] {
    return [this.#tried, this.#source?.registry].flatMap((registry) => registry?.list() ?? [])
  }

  runs(registry: PluginRegistry): boolean {
    const { registry: served } = this.#source ?? {}
    return served !== undefined && codeVersion(served) === codeVersion(registry)
  }

  /** A version of plugin code was barred: what is served goes on without it. */
  recover(): Promise<void> {
    return this.#queue.join(() => this.#recover())
  }

  /** Brings the served snapshot to the successor of a dead thread. */
  join(link: ThreadLink): Promise<void> {
    return this.#queue
      .join(() => this.#join(link))
      .catch((error: unknown) => {
        this.#deps.log.error('a new data thread cannot take the config', { thread: link.thread, error })
      })
  }

  /**
   * The process leaves: from now on changes are refused and successors get nothing, for either would listen again.
   * Settles when the change under way has ended.
   */
  stop(): Promise<void> {
    this.#stopped = true
    return this.#queue.join(async () => {})
  }

  /** Frees the numbers that no thread uses any more. */
  release(): void {
    const links = this.#deps.supervisor.holding()
    this.#deps.state.release(Math.min(...links.map((link) => link.released)))
  }

  async #apply(source: Change): Promise<ApplyResult> {
    if (this.#stopped) {
      const message = 'the process is draining and takes no other config'
      return this.#result('refused', [{ code: 'MR_THREAD', message }])
    }
    const barred = this.#recovery.problems(source.registry)
    if (barred.length > 0) return this.#result('refused', barred)
    if (this.#source && sameChange(this.#source, source)) {
      // The file may hold now what has served in its place.
      this.#source = source
      return this.#result('unchanged')
    }
    try {
      const verdict = await this.#attemptTwice(source)
      this.#replaceThreads()
      return this.#answer(verdict)
    } catch (error) {
      return this.#result('refused', [errorData(error, 'MR_CONFIG_INVALID')])
    }
  }

  async #attemptTwice(source: Change): Promise<Verdict> {
    this.#tried = source.registry
    try {
      const first = await this.#attempt(source)
      if (first.outcome !== 'died') return first
      // A thread was lost on the way. Had the config killed it, it will do so again.
      await first.cleared
      await this.#deps.supervisor.whole(wholeAgainMs)
      return await this.#attempt(source)
    } finally {
      this.#tried = undefined
    }
  }

  async #recover(): Promise<void> {
    const source = this.#source
    if (this.#stopped || !source || !this.#recovery.isBarred(source.registry)) return
    const { log } = this.#deps
    for (const registry of this.#recovery.candidates(source.registry)) {
      const change = { config: source.config, registry }
      const verdict = await this.#attemptTwice(change).catch((error: unknown) => error)
      const instead = registry.list().flatMap((loaded) => loaded.instead ?? [])
      if ((verdict as Verdict).outcome === 'committed') {
        log.error(`a plugin was replaced: ${instead.join(' | ')}`, { code: 'MR_PLUGIN_BARRED' })
        return
      }
      log.error('a plugin could not be replaced', { code: 'MR_PLUGIN_BARRED', instead, verdict })
    }
  }

  /** Threads that have loaded too many versions of code. */
  #replaceThreads(): void {
    const due = this.handover.due()
    // A unix socket cannot be listened on twice.
    const sockets = due?.thread === 0 && this.served?.listeners.some(({ socketPath }) => socketPath)
    if (due && !sockets) void this.#queue.join(() => this.handover.replace(due))
  }

  async #bring(next: ThreadLink): Promise<boolean> {
    if (this.#stopped || !this.#served) return false
    const verdict = await transact([next], ++this.#txn, this.#served, () => {})
    return verdict.outcome === 'committed'
  }

  async #attempt(source: Change): Promise<Verdict> {
    const { supervisor } = this.#deps
    if (!(await supervisor.some(wholeAgainMs))) {
      const problems = [{ code: 'MR_THREAD', message: 'no data thread is there to take the config' } as const]
      return { outcome: 'refused', problems, cleared: Promise.resolve() }
    }
    const draft = await this.#draft(source)
    const participants = supervisor.online()
    const verdict = await transact(participants, ++this.#txn, draft.target, () => this.#commit(source, draft))
    if (verdict.outcome === 'committed') {
      for (const link of participants) supervisor.serving(link)
      this.release()
      return verdict
    }
    const cleared = verdict.cleared.then(() => this.#deps.state.abandon(draft.plan))
    draft.accessLog.discard()
    await this.#deps.health.discard(draft.health)
    return { ...verdict, cleared }
  }

  async #draft(source: Change): Promise<Draft> {
    const { snapshot } = source.config
    const { state } = this.#deps
    const plan = state.plan(snapshot, source.registry)
    let accessLog: PreparedAccessLog | undefined
    try {
      accessLog = this.#deps.accessLog.prepare(snapshot.accessLog)
      const target = await this.#target(source, plan)
      const { services, directory } = target.snapshot
      const health = await this.#deps.health.prepare(services, source.registry, directory)
      this.#deps.health.place(health, new Set(plan.slots.fresh.map(({ slot }) => slot)))
      // Before a thread can see a new backend, what operators have decided about it holds.
      this.#deps.overrides.apply(services.values())
      return { plan, target, health, accessLog }
    } catch (error) {
      accessLog?.discard()
      state.abandon(plan)
      throw error
    }
  }

  async #target({ config, registry }: Change, { slots, services }: Plan): Promise<Target> {
    const { snapshot } = config
    const before = this.#served?.snapshot
    const previous = before && this.#source && { services: before.services, registry: this.#source.registry }
    const placed = await placeServices(snapshot, { slots, services, registry, previous })
    const ports = await probeListeners(snapshot.listeners, before?.listeners ?? [], before?.ports ?? {})
    const revision = (before?.revision ?? 0) + 1
    return {
      snapshot: shareUnchanged(before, { ...snapshot, revision, ports, services: placed }),
      code: { plugins: shipPlugins(registry), version: codeVersion(registry) },
    }
  }

  #commit(source: Change, draft: Draft): void {
    const { snapshot } = draft.target
    this.#recovery.served(source.registry, this.#source?.registry)
    this.#served = draft.target
    this.#source = source
    this.#deps.state.commit(draft.plan, snapshot.revision)
    this.#deps.health.commit(draft.health)
    draft.accessLog.commit()
    this.#deps.committed(snapshot)
  }

  async #join(link: ThreadLink): Promise<void> {
    // A successor must not be brought what has ended those before it.
    await this.#recover()
    const target = this.#served
    if (this.#stopped || !target || !link.alive || link.revision === target.snapshot.revision) return
    const { log, supervisor } = this.#deps
    if (link.thread === 0) {
      for (const listener of target.snapshot.listeners) {
        if (listener.socketPath) await probeSocketPath(listener).catch((error) => log.error(String(error)))
      }
    }
    const verdict = await transact([link], ++this.#txn, target, () => {})
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
    return { status, revision: this.#served?.snapshot.revision ?? 0, problems }
  }
}

function sameChange(a: Change, b: Change): boolean {
  return (
    isDeepStrictEqual({ ...a.config.snapshot, revision: 0 }, { ...b.config.snapshot, revision: 0 }) &&
    (a.registry === b.registry || codeVersion(a.registry) === codeVersion(b.registry))
  )
}
