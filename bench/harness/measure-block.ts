/** One block: one arm under one load, with what it cost. */
import { fileURLToPath } from 'node:url'
import type { RunningArm } from '../arms/arm.ts'
import type { Processes } from '../arms/processes.ts'
import { blockFaults } from '../load/block-faults.ts'
import type { ClosedLoop } from '../load/closed-loop.ts'
import type { OpenLoopOptions, OpenLoopResult } from '../load/open-loop.ts'
import { runWrk, type WrkOptions } from '../load/wrk.ts'
import type { Block } from '../report/bench-results.ts'
import { type CpuUse, cpuBetween, readCpu } from '../stats/cpu.ts'
import { residentBytes } from '../stats/process-tree.ts'
import type { PlannedScenario } from '../suites.ts'

const driver = fileURLToPath(new URL('../load/open-loop-driver.ts', import.meta.url))
/** How long answers are waited for behind the last start. */
const patienceMs = 5000

export interface BlockPlan {
  readonly scenario: PlannedScenario
  readonly arm: string
  readonly round: number
  readonly seconds: number
  readonly warmupSeconds: number
  /** Seconds since the start of the run. */
  readonly startedAt: number
  readonly seed: number
}

/** Where load generators run, and what ends with them. */
export interface LoadHost {
  readonly processes: Processes
  /** CPU list. */
  readonly cores: string
  /** The load generator has a core to itself. */
  readonly spin: boolean
  /** wrk when it is left out. */
  readonly closedLoop?: ClosedLoop
}

type Figures = Pick<
  Block,
  'requests' | 'failed' | 'values' | 'latency' | 'service' | 'lag' | 'curve' | 'faults'
>

export async function measureBlock(host: LoadHost, running: RunningArm, plan: BlockPlan): Promise<Block> {
  const scheme = plan.scenario.shape?.tls ? 'https' : 'http'
  const url = `${scheme}://127.0.0.1:${running.port}${plan.scenario.path}`
  const measure = plan.scenario.load === 'open' ? openBlock : closedBlock
  const figures = await measure(host, url, running.started.pid, plan)
  const { arm, round, startedAt, seconds } = plan
  const rss = residentBytes(running.started.pid) / 1024 / 1024
  return {
    ...{ scenario: plan.scenario.name, arm, round, startedAt, seconds },
    ...figures,
    values: { ...figures.values, rss },
  }
}

/** As many requests as there are connections, all the time. Its latencies are what such a load makes of them: left out. */
async function closedBlock(host: LoadHost, url: string, pid: number, plan: BlockPlan): Promise<Figures> {
  const load: WrkOptions = {
    url,
    seconds: plan.seconds,
    connections: plan.scenario.connections,
    cores: host.cores,
    upload: false,
    keepAlive: plan.scenario.shape?.keepAlive,
  }
  const run = host.closedLoop?.run ?? runWrk
  await run(host.processes, { ...load, seconds: plan.warmupSeconds })
  const before = readCpu(pid)
  const { requests, errors, seconds } = await run(host.processes, load)
  const cpu = cpuBetween(before, readCpu(pid))
  return {
    requests,
    failed: errors,
    values: { ...costs(cpu, requests), throughput: requests / seconds },
    ...{ latency: undefined, service: undefined, lag: undefined, curve: [] },
    faults: errors > 0 ? [`${errors} of ${requests} requests failed`] : [],
  }
}

/** The CPU is that of warm-up and measured time alike, over the requests of both. */
async function openBlock(host: LoadHost, url: string, pid: number, plan: BlockPlan): Promise<Figures> {
  const before = readCpu(pid)
  const open = await runDriver(host, {
    url,
    ratePerSecond: plan.scenario.ratePerSecond!,
    seconds: plan.seconds,
    warmupSeconds: plan.warmupSeconds,
    arrivals: 'poisson',
    seed: plan.seed,
    connections: plan.scenario.connections,
    patienceMs,
    spin: host.spin,
  })
  const cpu = cpuBetween(before, readCpu(pid))
  const { latency, service, lag, curve } = open
  return {
    requests: open.completed,
    failed: open.failed,
    values: { ...costs(cpu, open.sent), p50: latency.p50, p99: latency.p99 },
    ...{ latency, service, lag, curve },
    faults: blockFaults(open),
  }
}

function costs(cpu: CpuUse, requests: number): { cpu: number; runDelay: number } {
  const each = 1000 * Math.max(1, requests)
  return { cpu: cpu.nanoseconds / each, runDelay: cpu.waitedNanoseconds / each }
}

/** Runs the open-loop driver in a process of its own; fails when it says nothing in time. */
export async function runDriver(host: LoadHost, options: OpenLoopOptions): Promise<OpenLoopResult> {
  const command = [process.execPath, driver, JSON.stringify(options)]
  const started = host.processes.start('open-loop', command, { cores: host.cores })
  const limit = (options.warmupSeconds + options.seconds) * 1000 + options.patienceMs + 15_000
  const timer = setTimeout(() => void started.stop(), limit)
  await started.exited
  clearTimeout(timer)
  const line = started
    .output()
    .split('\n')
    .findLast((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`the open-loop driver gave no result:\n${started.output()}`)
  return JSON.parse(line) as OpenLoopResult
}
