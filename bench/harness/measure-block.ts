/** One block: one arm under one load, with what it cost. */
import type { RunningArm } from '../arms/arm.ts'
import type { Processes } from '../arms/processes.ts'
import { blockFaults } from '../load/block-faults.ts'
import type { ClosedLoop } from '../load/closed-loop.ts'
import type { OpenLoopOptions } from '../load/open-loop.ts'
import { warmupParts } from '../load/warm-up.ts'
import { runWrk, type WrkOptions } from '../load/wrk.ts'
import type { Block } from '../report/bench-results.ts'
import type { PlannedScenario } from '../suites.ts'
import { beginCosts } from './block-costs.ts'
import type { OpenLoopDriver } from './open-loop-driver.ts'

/** How long answers are waited for behind the last start. */
export const patienceMs = 5000
/** At the start of an open block, when it opens its connections. */
const rampSeconds = 0.5
/** A fresh arm is warmed by a closed loop of so many: in the same time it is asked several times as much, and is optimised. */
const warmingConnections = 64

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
  /** One for the whole run, started when it is first asked for. */
  driver(): Promise<OpenLoopDriver>
}

type Figures = Pick<
  Block,
  'requests' | 'failed' | 'values' | 'costs' | 'latency' | 'service' | 'lag' | 'curve' | 'faults'
>

export async function measureBlock(host: LoadHost, running: RunningArm, plan: BlockPlan): Promise<Block> {
  const scheme = plan.scenario.shape?.tls ? 'https' : 'http'
  const url = `${scheme}://127.0.0.1:${running.port}${plan.scenario.path}`
  const measure = plan.scenario.load === 'open' ? openBlock : closedBlock
  const figures = await measure(host, url, running, plan)
  const why = figures.failed > 0 ? running.fault?.() : undefined
  const faults = why === undefined ? figures.faults : [...figures.faults, why]
  const { arm, round, startedAt, seconds } = plan
  return { ...{ scenario: plan.scenario.name, arm, round, startedAt, seconds }, ...figures, faults }
}

/** As many requests as there are connections, all the time. Its latencies are what such a load makes of them: left out. */
async function closedBlock(
  host: LoadHost,
  url: string,
  running: RunningArm,
  plan: BlockPlan,
): Promise<Figures> {
  const load: WrkOptions = {
    url,
    seconds: plan.seconds,
    connections: plan.scenario.connections,
    cores: host.cores,
    upload: false,
    keepAlive: plan.scenario.shape?.keepAlive,
    headers: plan.scenario.headers,
    expect: running.expect,
  }
  const run = host.closedLoop?.run ?? runWrk
  for (const part of warmupParts(plan.warmupSeconds)) await run(host.processes, { ...load, seconds: part })
  const readings = await beginCosts(running, plan.warmupSeconds + plan.seconds)
  const { requests, errors, seconds } = await run(host.processes, load)
  const { values, costs } = await readings.end(requests)
  return {
    requests,
    failed: errors,
    values: { ...values, throughput: requests / seconds },
    costs,
    ...{ latency: undefined, service: undefined, lag: undefined, curve: [] },
    faults: errors > 0 ? [`${errors} of ${requests} requests failed`] : [],
  }
}

/** The costs are those of the ramp and of the measured time alike, over the requests of both. */
async function openBlock(
  host: LoadHost,
  url: string,
  running: RunningArm,
  plan: BlockPlan,
): Promise<Figures> {
  const driver = await host.driver()
  const ramp = Math.min(plan.warmupSeconds, rampSeconds)
  const load: OpenLoopOptions = {
    ...{ url, ratePerSecond: plan.scenario.ratePerSecond!, seconds: plan.seconds, warmupSeconds: ramp },
    ...{ arrivals: 'poisson', seed: plan.seed, connections: plan.scenario.connections },
    ...{ patienceMs, spin: host.spin },
  }
  if (plan.warmupSeconds > ramp) {
    const run = host.closedLoop?.run ?? runWrk
    const warming = { url, connections: warmingConnections, cores: host.cores, upload: false }
    for (const part of warmupParts(plan.warmupSeconds - ramp))
      await run(host.processes, { ...warming, seconds: part })
  }
  const readings = await beginCosts(running, ramp + plan.seconds)
  const open = await driver.run(load)
  const { values, costs } = await readings.end(open.sent)
  const { latency, service, lag, curve } = open
  return {
    requests: open.completed,
    failed: open.failed,
    values: { ...values, p50: latency.p50, p99: latency.p99 },
    costs,
    ...{ latency, service, lag, curve },
    faults: blockFaults(open),
  }
}
