/** `millrace bench sync`: which way of keeping LB servers up to date, and why. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { builtins } from '../../plugins/manifest.ts'
import { repository } from '../arms/millrace.ts'
import { Processes } from '../arms/processes.ts'
import { Progress } from '../report/progress.ts'
import { asMarkdown, asText } from '../report/tables.ts'
import { describeMachine } from '../stats/machine.ts'
import { seededRandom } from '../stats/random.ts'
import type { Approach, Places } from './approaches.ts'
import { EngineGroup } from './group.ts'
import { measureFaults, measureSpread, type SyncPlan, syncPlans } from './measure.ts'
import { startRelay } from './relay.ts'
import { syncChart, syncTables, syncWords } from './report.ts'
import { type Faults, type Spread, type SyncResults, syncSchema } from './results.ts'
import { missing, type Server, type ServerHost, startServer } from './servers.ts'

export interface SyncOptions {
  readonly approaches: readonly Approach[]
  readonly quick: boolean
  /** Instead of the one that `quick` stands for. */
  readonly plan?: SyncPlan
  readonly seed: number
  readonly signal: AbortSignal
}

const backends = 100
/** The defaults of the config. */
const pollMs = 1000
const reconcileMs = 60_000

/** @throws when nothing of what was asked for can be measured here */
export async function measureSync(options: SyncOptions): Promise<SyncResults> {
  const { quick, seed, signal } = options
  const plan = options.plan ?? syncPlans[quick ? 'quick' : 'full']
  const notes = new Set<string>()
  const possible = options.approaches.filter(({ store }) => {
    const why = missing(store)
    if (why !== undefined) notes.add(`${why}: what needs it is left out.`)
    return why === undefined
  })
  if (possible.length === 0) throw new Error(`nothing can be measured: ${[...notes].join(' ')}`)
  const machine = describeMachine(repository)
  if (machine.loadAtStart > 0.5)
    notes.add(
      `Others used this machine (load average ${machine.loadAtStart.toFixed(2)}): times are too long.`,
    )
  const startedAt = new Date().toISOString()
  const [spreads, faults]: [Spread[], Faults[]] = [[], []]
  const run = new Run(options, plan, possible.length)
  const stop = (): void => void run.stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    for (const approach of possible) {
      const measured = await run.approach(approach)
      spreads.push(...measured.spreads)
      faults.push(measured.faults)
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', stop)
    await run.stop()
  }
  const settings = {
    backends,
    pollMs,
    reconcileMs,
    faultReconcileMs: plan.faultReconcileMs,
    silentMs: plan.silentMs,
  }
  return {
    schema: syncSchema,
    startedAt,
    quick,
    seed,
    machine,
    ...settings,
    spreads,
    faults,
    notes: [...notes],
  }
}

class Run {
  readonly #options: SyncOptions
  readonly #plan: SyncPlan
  readonly #directory = mkdtempSync(join(tmpdir(), 'millrace-sync-'))
  readonly #processes = new Processes(this.#directory)
  readonly #progress: Progress
  readonly #random: () => number
  readonly #registry = new PluginRegistry()
  #files = 0
  #stopped: Promise<void> | undefined

  constructor(options: SyncOptions, plan: SyncPlan, approaches: number) {
    this.#options = options
    this.#plan = plan
    this.#random = seededRandom(options.seed)
    this.#progress = new Progress(approaches * this.#plannedSeconds())
    for (const definition of builtins) this.#registry.add(builtIn(definition))
  }

  get #host(): ServerHost {
    return { processes: this.#processes, directory: this.#directory, random: this.#random }
  }

  async approach(approach: Approach): Promise<{ spreads: Spread[]; faults: Faults }> {
    const { store, carrier, hasBus } = approach
    const server = store === 'sqlite' ? undefined : await startServer(store, this.#host)
    const relay = server && carrier && (await startRelay(() => server.port))
    try {
      const spreads: Spread[] = []
      for (const engines of this.#plan.engines) {
        const given = { approach: approach.name, engines }
        // Without the relay: it would run in this process, and each engine would pay for it.
        const measured = await this.#with(
          approach,
          engines,
          reconcileMs,
          placesOf(server, undefined),
          (group) => measureSpread(group, given, this.#plan, this.#random),
        )
        spreads.push(measured)
        const words = `${given.approach}, ${engines} engines: the last has it after ${measured.last.p50.toFixed(1)} ms`
        this.#progress.advance(this.#spreadSeconds(), words)
      }
      const { faultEngines, faultReconcileMs } = this.#plan
      const rig = { approach: approach.name, engines: faultEngines, hasBus, relay, server }
      const faults = await this.#with(
        approach,
        faultEngines,
        faultReconcileMs,
        placesOf(server, relay?.port),
        (group) => measureFaults(group, rig, this.#plan),
      )
      this.#progress.advance(this.#faultSeconds(), `${approach.name}: faults`)
      return { spreads, faults }
    } finally {
      await relay?.close()
      await server?.stop()
    }
  }

  /** Ends what was started; also while something is measured, which then fails. */
  stop(): Promise<void> {
    this.#stopped ??= this.#processes
      .stopAll()
      .then(() => rmSync(this.#directory, { recursive: true, force: true }))
    return this.#stopped
  }

  async #with<T>(
    approach: Approach,
    engines: number,
    reconcile: number,
    { storePort, busPort }: Omit<Places, 'file' | 'writer'>,
    work: (group: EngineGroup) => Promise<T>,
  ): Promise<T> {
    this.#options.signal.throwIfAborted()
    const group = await EngineGroup.start({
      ...{ approach, engines, backends, pollMs, reconcileMs: reconcile, random: this.#random },
      places: { storePort, busPort, file: join(this.#directory, `${++this.#files}.db`) },
      registry: this.#registry,
    })
    try {
      return await work(group)
    } finally {
      await group.stop()
    }
  }

  #plannedSeconds(): number {
    return this.#plan.engines.length * this.#spreadSeconds() + this.#faultSeconds()
  }

  #spreadSeconds(): number {
    return this.#plan.changeSeconds + this.#plan.idleSeconds + 2
  }

  #faultSeconds(): number {
    return (this.#plan.silentMs + this.#plan.faultReconcileMs) / 1000 + 3
  }
}

function placesOf(
  server: Server | undefined,
  relayPort: number | undefined,
): Omit<Places, 'file' | 'writer'> {
  const storePort = server?.port ?? 0
  return { storePort, busPort: relayPort ?? storePort }
}

/** File name → content. */
export function syncFiles(results: SyncResults): Record<string, string> {
  const { machine, startedAt, quick, seed, notes } = results
  const tables = syncTables(results).map((table) => `${asMarkdown(table)}\n`)
  const markdown = [
    '# Ways of keeping LB servers up to date',
    '',
    `\`millrace bench sync${quick ? ' --quick' : ''} --seed ${seed}\`, ${startedAt}, commit ${machine.commit}. ${machine.cpu}, ` +
      `${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}. Load average at the start: ${machine.loadAtStart.toFixed(2)}.`,
    '',
    ...notes.map((note) => `> ${note}\n`),
    ...syncWords(results),
    '![Until the last LB server has a change](sync.svg)',
    '',
    ...tables,
  ].join('\n')
  return {
    'sync.json': `${JSON.stringify(results, null, 1)}\n`,
    'sync.md': markdown,
    'sync.svg': syncChart(results),
  }
}

/** @returns what the terminal shows */
export function writeSync(results: SyncResults, directory: string): string {
  mkdirSync(directory, { recursive: true })
  const files = syncFiles(results)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content)
  return [
    ...syncTables(results).map(asText),
    ...results.notes.map((note) => `! ${note}`),
    `\nseed ${results.seed}; written to ${directory}: ${Object.keys(files).join(', ')}`,
  ].join('\n')
}
