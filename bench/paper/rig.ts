/** Proxies, backend and load generators of the sizing table. Whatever it needs of the harness it uses here. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunningArm } from '../arms/arm.ts'
import { type Backend, startBackend } from '../arms/backend.ts'
import { findArm } from '../arms/catalog.ts'
import { defaultMillraceCommand } from '../arms/millrace.ts'
import { Processes } from '../arms/processes.ts'
import { type BlockPlan, type LoadHost, measureBlock } from '../harness/measure-block.ts'
import { OpenLoopDriver } from '../harness/open-loop-driver.ts'
import { driverWarmupSeconds } from '../harness/suite-seconds.ts'
import { openConnections, settledResident } from '../load/idle.ts'
import type { Block } from '../report/bench-results.ts'
import { readProc } from '../stats/process-tree.ts'
import type { PlannedScenario } from '../suites.ts'

/** Cores: the proxy's, and that of the backend and this process; a third one is the load generator's own. */
const armCore = '0'
const loadCore = '1'

function ownCores(): string {
  const text = execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' })
  return text.slice(text.lastIndexOf(':') + 1).trim()
}

function pinTo(cores: string): void {
  execFileSync('taskset', ['-cap', cores, String(process.pid)], { stdio: 'ignore' })
}

export interface Load {
  readonly arm: string
  readonly seconds: number
  readonly warmupSeconds: number
  readonly connections: number
  /** Open loop at this rate; closed loop when it is left out. */
  readonly ratePerSecond?: number
}

/** Connections that are held open. */
export interface Held {
  /** What the kernel's own objects grew by meanwhile: for both ends of each connection, as both are on this machine. */
  readonly kernelBytes: number
  /** How many are open now. */
  open(): number
}

function slabBytes(): number {
  return Number(/^Slab:\s+(\d+) kB$/m.exec(readProc('/proc/meminfo'))?.[1] ?? 0) * 1024
}

export class Rig {
  readonly #directory: string
  readonly #processes: Processes
  readonly #random: () => number
  readonly #host: LoadHost
  readonly #signal: AbortSignal
  readonly #started = performance.now()
  #backend: Backend | undefined
  #driver: Promise<OpenLoopDriver> | undefined
  #blocks = 0

  private constructor(random: () => number, signal: AbortSignal) {
    this.#random = random
    this.#signal = signal
    this.#directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
    this.#processes = new Processes(this.#directory)
    const spin = availableParallelism() > 2
    const host = { processes: this.#processes, cores: spin ? '2' : loadCore, spin }
    const driver = (): Promise<OpenLoopDriver> => {
      this.#driver ??= OpenLoopDriver.start(host, { warmupSeconds: driverWarmupSeconds })
      return this.#driver
    }
    this.#host = { ...host, driver }
  }

  /** Runs the work; nothing that was started is left behind, however it ends. */
  static async with<T>(
    random: () => number,
    signal: AbortSignal,
    work: (rig: Rig) => Promise<T>,
  ): Promise<T> {
    const rig = new Rig(random, signal)
    const abort = (): void => void rig.#processes.stopAll()
    signal.addEventListener('abort', abort)
    const coresBefore = ownCores()
    // This process holds thousands of connections: it must not do so on the proxy's core.
    pinTo(loadCore)
    try {
      rig.#backend = await startBackend(rig.#processes, rig.#directory, loadCore, random)
      return await work(rig)
    } finally {
      signal.removeEventListener('abort', abort)
      await rig.#processes.stopAll()
      pinTo(coresBefore)
      rmSync(rig.#directory, { recursive: true, force: true })
    }
  }

  /** A proxy on its core, until all of this ends: those that are not measured are idle. */
  async start(name: string): Promise<RunningArm> {
    this.#signal.throwIfAborted()
    return findArm(name).start({
      ...{ processes: this.#processes, random: this.#random, directory: this.#directory },
      ...{ backendPort: this.#backend!.port, cores: armCore, threads: 1, pipelining: 1 },
      millraceCommand: defaultMillraceCommand,
    })
  }

  async measure(running: RunningArm, load: Load): Promise<Block> {
    this.#signal.throwIfAborted()
    const scenario: PlannedScenario = {
      ...{ name: 'sizing', title: 'Sizing', path: '/64', backendDelayMs: 0, connections: load.connections },
      load: load.ratePerSecond === undefined ? 'closed' : 'open',
      ratePerSecond: load.ratePerSecond,
    }
    const plan: BlockPlan = {
      ...{ scenario, arm: load.arm, round: ++this.#blocks },
      ...{ seconds: load.seconds, warmupSeconds: load.warmupSeconds },
      startedAt: (performance.now() - this.#started) / 1000,
      seed: Math.floor(this.#random() * 2 ** 31),
    }
    return measureBlock(this.#host, running, plan)
  }

  /** Opens so many connections that have done one request and wait, for as long as the work takes. */
  async holding<T>(running: RunningArm, count: number, work: (held: Held) => Promise<T>): Promise<T> {
    const slabBefore = slabBytes()
    const sockets = await openConnections(running.port, count, this.#signal)
    try {
      if (count > 0) await settledResident(running.started.pid)
      return await work({
        kernelBytes: slabBytes() - slabBefore,
        open: () => sockets.filter(({ readyState }) => readyState === 'open').length,
      })
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  }
}
