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
import { judgeSuite } from './judge-suite.ts'
import { type LoadHost, measureBlock, patienceMs } from './measure-block.ts'
import { OpenLoopDriver } from './open-loop-driver.ts'
import { scenarioArms } from './scenario-arms.ts'
import { ScenarioRates } from './scenario-rate.ts'
import * as time from './suite-seconds.ts'

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
  /** Share of the baseline beyond which a difference is called one; as the threshold where undefined, or left out. */
  change?(metric: string): number | undefined
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
  readonly #rates: ScenarioRates
  readonly #scenarios: PlannedScenario[] = []
  readonly #blocks: Block[] = []
  #driver: Promise<OpenLoopDriver> | undefined
  readonly #notes: string[] = []
  #tls: TlsFiles | undefined

  constructor(options: RunOptions, processes: Processes, directory: string) {
    this.#options = options
    this.#processes = processes
    this.#directory = directory
    this.#random = seededRandom(options.seed)
    // Core 0 is the arm's, core 1 the backend's; a third one is the load generator's own.
    const spin = availableParallelism() > 2
    const cores = spin ? '2' : '1'
    const driver = (): Promise<OpenLoopDriver> => {
      this.#driver ??= OpenLoopDriver.start({ processes, cores }, { warmupSeconds: time.driverWarmupSeconds })
      return this.#driver
    }
    this.#host = { processes, cores, spin, driver, closedLoop: closedLoop(options.load) }
    const { signal } = options
    this.#rates = new ScenarioRates({ host: this.#host, random: this.#random, signal })
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
    checkGate(suite, arms)
    const planned = suite.scenarios.map((scenario) => ({ scenario, names: this.#able(scenario, names) }))
    const total = time.plannedSeconds(suite, planned)
    const progress = this.#options.progress?.(total) ?? new Progress(total)
    for (const one of planned) await this.#measureScenario(one.scenario, one.names, progress)
    const judging = { confidence, random: this.#random }
    return {
      ...{ schema: resultsSchema, suite: suite.name, startedAt, machine, seed, confidence, arms },
      scenarios: this.#scenarios,
      loadGenerator: `${tool} ${version}`,
      blocks: this.#blocks,
      comparisons: compareArms(this.#scenarios, this.#blocks, {
        ...{ arms: names, ...judging, baseline: this.#options.baseline },
        threshold: this.#options.threshold,
        change: this.#options.change,
      }),
      knees: this.#rates.knees,
      gate: suite.gate && judgeSuite(suite.gate, this.#blocks, judging),
      notes: [...this.#notes, ...this.#rates.notes],
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
    const wanted = names.filter((name) => !scenario.without?.includes(name))
    const { able, note } = scenarioArms(scenario, wanted, (name) => this.#arm(name))
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
    planned: PlannedScenario,
    names: readonly string[],
    progress: Advance,
  ): Promise<void> {
    if (names.length === 0) {
      this.#scenarios.push(withoutHeaders(planned))
      return
    }
    const backend = await this.#backend(planned)
    const { suite, millraceCommand } = this.#options
    const pool = new ArmPool({
      ...{ processes: this.#processes, random: this.#random, directory: this.#directory },
      backend,
      arms: names.filter((name) => name !== 'direct').map((name) => this.#arm(name)),
      millraceCommand: millraceCommand ?? defaultMillraceCommand,
      backendHosts: backendHosts(planned.shape?.backends ?? 1),
      tls: planned.shape?.tls ? this.#tls : undefined,
      headers: planned.headers,
    })
    try {
      await this.#warmUp(planned, backend, progress)
      const scenario = await this.#rates.resolve(planned, names, (arm) => pool.take(arm, false), progress)
      this.#scenarios.push(withoutHeaders(scenario))
      for (const { round, arm } of blockOrder(names, suite.rounds, this.#random)) {
        this.#options.signal.throwIfAborted()
        const running = await pool.take(arm, time.isFresh(suite, round))
        const text = await this.#block(scenario, arm, round, running)
        progress.advance(time.blockSeconds(suite, scenario.load, round), text)
      }
    } finally {
      await pool.stop()
      await backend.started.stop()
    }
  }

  /** What takes its time is a Node program on the core of the driver: what it learns late makes the first blocks late. */
  async #warmUp(
    { load, path, connections, backendDelayMs }: PlannedScenario,
    backend: RunningBackend,
    progress: Advance,
  ): Promise<void> {
    if (load === 'closed') return
    const isFirst = this.#driver === undefined
    const driver = await this.#host.driver()
    if (isFirst) progress.advance(time.driverWarmupSeconds, 'open-loop driver is warm')
    if (backendDelayMs === 0) return
    await driver.run({
      ...{ url: `http://127.0.0.1:${backend.port}${path}`, ...time.backendWarmup, warmupSeconds: 0 },
      ...{ arrivals: 'poisson', seed: 1, connections, patienceMs, spin: this.#host.spin },
    })
    progress.advance(time.backendWarmup.seconds, 'backend is warm')
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

  /** Measured again when the driver is to blame that it does not count; failed requests are the arm's own. */
  async #block(scenario: PlannedScenario, arm: string, round: number, running: RunningArm): Promise<string> {
    const { suite } = this.#options
    const { load } = scenario
    const where = `${scenario.name} ${round}/${suite.rounds}  ${arm.padEnd(12)}`
    const texts: string[] = []
    for (let repeats = suite.repeats ?? 0; ; repeats--) {
      this.#options.signal.throwIfAborted()
      const block = await measureBlock(this.#host, running, {
        ...{ scenario, arm, round, seconds: time.measuredSeconds(suite, load) },
        warmupSeconds: texts.length > 0 ? suite.openWarmupSeconds : time.warmupSeconds(suite, load, round),
        startedAt: (performance.now() - this.#started) / 1000,
        seed: Math.floor(this.#random() * 2 ** 31),
      })
      this.#blocks.push(block)
      texts.push(describe(block))
      const isDone = block.faults.length === 0 || block.failed > 0 || load === 'closed'
      if (isDone || repeats <= 0) return `${where} ${texts.join('; again: ')}`
    }
  }
}

interface RunningBackend {
  readonly port: number
  readonly started: RunningArm['started']
  accepted(): Promise<number>
}

/** They may hold secrets, and results are passed on. */
function withoutHeaders({ headers: _headers, ...scenario }: PlannedScenario): PlannedScenario {
  return scenario
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

/** Throws when an arm that the gate is about is not measured. */
function checkGate({ name, gate }: Suite, arms: readonly ArmInfo[]): void {
  if (gate === undefined) return
  for (const needed of ['direct', gate.arm, gate.against]) {
    const arm = arms.find((one) => one.name === needed)
    const why = arm === undefined ? `the arm "${needed}" is not among those chosen` : arm.missing
    if (why !== undefined) throw new Error(`the gate of "${name}" cannot be judged: ${why}`)
  }
}
