/** Runs a suite: arms started side by side, blocks interleaved, results with their intervals. */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Arm, RunningArm, TlsFiles } from '../arms/arm.ts'
import { backendHosts, startBackend } from '../arms/backend.ts'
import { findArm } from '../arms/catalog.ts'
import { makeCertificate } from '../arms/certificate.ts'
import { defaultMillraceCommand, repository } from '../arms/millrace.ts'
import { Processes } from '../arms/processes.ts'
import { type ClosedLoop, closedLoop } from '../load/closed-loop.ts'
import type { ArmInfo, BenchResults, Block } from '../report/bench-results.ts'
import { resultsSchema } from '../report/bench-results.ts'
import { type Advance, Progress } from '../report/progress.ts'
import { blockOrder } from '../stats/blocks.ts'
import { describeMachine } from '../stats/machine.ts'
import { seededRandom } from '../stats/random.ts'
import type { PlannedScenario, Suite } from '../suites.ts'
import { ArmPool } from './arm-pool.ts'
import { compareArms } from './compare-arms.ts'
import { startDelayBackend } from './delay-backend.ts'
import { type LoadHost, measureBlock } from './measure-block.ts'
import { scenarioArms } from './scenario-arms.ts'

export interface RunOptions {
  readonly suite: Suite
  /** Arms of the suite that the catalog does not have. */
  readonly arms?: readonly Arm[]
  /** What everything is compared with; a proxy that was measured, when it is left out. */
  readonly baseline?: string
  readonly seed: number
  readonly confidence: number
  /** Command of the Millrace arms, `{config}` for their config file; this checkout's when it is left out. */
  readonly millraceCommand?: readonly string[]
  /** Of the closed loops, `wrk` or `autocannon`; wrk where it is installed, when it is left out. */
  readonly load?: string
  /** Of a machine that was calibrated; undefined, or left out: the starting one of the metric. */
  threshold?(scenario: string, metric: string): number | undefined
  /** Told of the blocks in place of the terminal. @param plannedSeconds of the whole run */
  progress?(plannedSeconds: number): Advance
  readonly signal: AbortSignal
  say(text: string): void
}

/** Rejects when the signal is aborted or nothing can be measured; whatever was started has ended by then. */
export async function runSuite(options: RunOptions): Promise<BenchResults> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const processes = new Processes(directory)
  const abort = () => void processes.stopAll()
  options.signal.addEventListener('abort', abort)
  try {
    return await new SuiteRun(options, processes, directory).run()
  } finally {
    options.signal.removeEventListener('abort', abort)
    await processes.stopAll()
    rmSync(directory, { recursive: true, force: true })
  }
}

class SuiteRun {
  readonly #options: RunOptions
  readonly #processes: Processes
  readonly #directory: string
  readonly #random: () => number
  readonly #host: LoadHost & { readonly closedLoop: ClosedLoop }
  readonly #started = performance.now()
  readonly #blocks: Block[] = []
  readonly #notes: string[] = []
  #tls: TlsFiles | undefined

  constructor(options: RunOptions, processes: Processes, directory: string) {
    this.#options = options
    this.#processes = processes
    this.#directory = directory
    this.#random = seededRandom(options.seed)
    // Core 0 is the arm's, core 1 the backend's; a third one is the load generator's own.
    const spin = availableParallelism() > 2
    this.#host = { processes, cores: spin ? '2' : '1', spin, closedLoop: closedLoop(options.load) }
  }

  async run(): Promise<BenchResults> {
    const { suite, seed, confidence } = this.#options
    const startedAt = new Date().toISOString()
    const machine = describeMachine(repository)
    if (machine.cores < 2) throw new Error('two cores are needed: one for the arm, one for the load')
    if (machine.loadAtStart > 0.5)
      this.#notes.push(
        `Others used this machine (load average ${machine.loadAtStart.toFixed(2)}): expect noise.`,
      )
    const { tool, version, note } = this.#host.closedLoop
    if (note !== undefined) this.#notes.push(note)
    const arms = suite.arms.map(
      (name): ArmInfo => ({ name, title: this.#title(name), missing: missing(name, machine) }),
    )
    const names = arms.filter((arm) => arm.missing === undefined).map((arm) => arm.name)
    const planned = suite.scenarios.map((scenario) => ({ scenario, names: this.#able(scenario, names) }))
    const seconds = planned.map((one) => one.names.length * scenarioSeconds(suite, one.scenario.load))
    const total = seconds.reduce((sum, one) => sum + one, 0)
    const progress = this.#options.progress?.(total) ?? new Progress(total)
    for (const one of planned) await this.#measureScenario(one.scenario, one.names, progress)
    return {
      ...{ schema: resultsSchema, suite: suite.name, startedAt, machine, seed, confidence, arms },
      scenarios: suite.scenarios,
      loadGenerator: `${tool} ${version}`,
      blocks: this.#blocks,
      comparisons: compareArms(suite.scenarios, this.#blocks, {
        ...{ arms: names, confidence, random: this.#random, baseline: this.#options.baseline },
        threshold: this.#options.threshold,
      }),
      notes: this.#notes,
    }
  }

  #title(name: string): string {
    return name === 'direct' ? 'Backend alone' : this.#arm(name).title
  }

  #arm(name: string): Arm {
    return this.#options.arms?.find((arm) => arm.name === name) ?? findArm(name)
  }

  /** The arms of a scenario; none when nothing can be measured in it. */
  #able(scenario: PlannedScenario, names: readonly string[]): readonly string[] {
    const { able, note } = scenarioArms(scenario, names, (name) => this.#arm(name))
    if (note !== undefined) this.#notes.push(note)
    if (!scenario.shape?.tls) return able
    try {
      this.#tls ??= makeCertificate(this.#directory)
      return able
    } catch (error) {
      const why = error instanceof Error ? error.message.split('\n')[0] : String(error)
      this.#notes.push(`${scenario.title}: not measured, there is no certificate (openssl: ${why})`)
      return []
    }
  }

  async #measureScenario(
    scenario: PlannedScenario,
    names: readonly string[],
    progress: Advance,
  ): Promise<void> {
    if (names.length === 0) return
    const backend = await this.#backend(scenario)
    const { suite, millraceCommand } = this.#options
    const pool = new ArmPool({
      ...{ processes: this.#processes, random: this.#random, directory: this.#directory },
      backend,
      arms: names.filter((name) => name !== 'direct').map((name) => this.#arm(name)),
      millraceCommand: millraceCommand ?? defaultMillraceCommand,
      backendHosts: backendHosts(scenario.shape?.backends ?? 1),
      tls: scenario.shape?.tls ? this.#tls : undefined,
    })
    try {
      for (const { round, arm } of blockOrder(names, suite.rounds, this.#random)) {
        this.#options.signal.throwIfAborted()
        const running = await pool.take(arm, isFresh(suite, round))
        const text = await this.#block(scenario, arm, round, running)
        progress.advance(blockSeconds(suite, scenario.load, round), text)
      }
    } finally {
      await pool.stop()
      await backend.started.stop()
    }
  }

  #backend(scenario: PlannedScenario): Promise<RunningBackend> {
    if (scenario.backendDelayMs === 0)
      return startBackend(this.#processes, this.#directory, '1', this.#random)
    const { delaySigma: sigma = 0, bodyBytes = 64, backends = 1 } = scenario.shape ?? {}
    if (backends > 1) throw new Error(`${scenario.name}: a backend that takes its time has one address`)
    return startDelayBackend(this.#processes, '1', this.#random, {
      ...{ delayMs: scenario.backendDelayMs, sigma, seed: 1, bodyBytes, stallMs: 0, stallAfterMs: 0 },
    })
  }

  async #block(scenario: PlannedScenario, arm: string, round: number, running: RunningArm): Promise<string> {
    const { suite } = this.#options
    const block = await measureBlock(this.#host, running, {
      ...{ scenario, arm, round, seconds: suite.seconds },
      warmupSeconds: warmupSeconds(suite, scenario.load, round),
      startedAt: (performance.now() - this.#started) / 1000,
      seed: Math.floor(this.#random() * 2 ** 31),
    })
    this.#blocks.push(block)
    const where = `${scenario.name} ${round}/${suite.rounds}  ${arm.padEnd(12)}`
    return `${where} ${describe(block)}`
  }
}

interface RunningBackend {
  readonly port: number
  readonly started: RunningArm['started']
}

function describe(block: Block): string {
  const { cpu, throughput, p50, p99 } = block.values
  const figures = [`${cpu.toFixed(1)} µs/req`]
  if (throughput !== undefined) figures.unshift(`${Math.round(throughput).toLocaleString('en')} req/s`)
  if (p50 !== undefined) figures.push(`p50 ${p50.toFixed(2)} ms`, `p99 ${p99.toFixed(2)} ms`)
  if (block.faults.length > 0) figures.push(`thrown out: ${block.faults.join('; ')}`)
  return figures.join('  ')
}

function missing(name: string, machine: { nginx: string; haproxy: string }): string | undefined {
  if (name.startsWith('nginx') && machine.nginx === 'absent') return 'nginx is not installed'
  if (name === 'haproxy' && machine.haproxy === 'absent') return 'haproxy is not installed'
  return undefined
}

/** Of one arm. */
function scenarioSeconds(suite: Suite, load: 'closed' | 'open'): number {
  let seconds = 0
  for (let round = 1; round <= suite.rounds; round++) seconds += blockSeconds(suite, load, round)
  return seconds
}

/** With its warm-up, and the start of the arm where there is one. */
function blockSeconds(suite: Suite, load: 'closed' | 'open', round: number): number {
  return suite.seconds + warmupSeconds(suite, load, round) + (isFresh(suite, round) ? 1 : 0)
}

function warmupSeconds(suite: Suite, load: 'closed' | 'open', round: number): number {
  const own = isFresh(suite, round) ? suite.firstWarmupSeconds : suite.warmupSeconds
  return load === 'open' ? Math.max(own, suite.openWarmupSeconds) : own
}

const isFresh = (suite: Suite, round: number): boolean => (round - 1) % suite.restartEvery === 0
