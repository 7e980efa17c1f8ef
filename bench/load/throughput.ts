import type { RunningArm } from '../arms/arm.ts'
import { findArm } from '../arms/catalog.ts'
import type { Options, Part } from '../options.ts'
import type { Sample } from '../report/results.ts'
import { cpuBetween, readCpu } from '../stats/cpu.ts'
import { busySeconds } from '../stats/machine.ts'
import { shuffled } from '../stats/random.ts'
import { attempt, loadCore, type Session, withArm } from './session.ts'
import { warmupParts } from './warm-up.ts'
import { runWrk, type WrkOptions } from './wrk.ts'

export interface Workload {
  readonly part: Part
  readonly title: string
  readonly path: string
  readonly connections: number
  readonly upload: boolean
  /** What is measured unless the user says otherwise. */
  readonly arms: readonly string[]
}

const everyArm = ['nginx', 'nginx-same-lines', 'haproxy', 'millrace', 'floor', 'passthrough', 'http-proxy']
const streaming = ['nginx', 'nginx-shipped', 'haproxy', 'millrace', 'floor']

export const workloads: readonly Workload[] = [
  { part: '64b', title: '64-byte body', path: '/64', connections: 64, upload: false, arms: everyArm },
  {
    part: 'pipelined',
    title: '64-byte body, pipelined to the backend',
    path: '/64',
    connections: 64,
    upload: false,
    arms: ['nginx', 'millrace-pipelined'],
  },
  { part: '64k', title: '64 KiB body', path: '/64k', connections: 64, upload: false, arms: streaming },
  { part: '1m', title: '1 MiB body', path: '/1m', connections: 64, upload: false, arms: streaming },
  {
    part: 'upload',
    title: 'Upload of 1 MiB',
    path: '/upload',
    connections: 64,
    upload: true,
    arms: streaming,
  },
]

/** Seconds one sample takes with start and stop; for the estimate of the time left. */
export function sampleSeconds(session: Pick<Session, 'options'>): number {
  return session.options.warmup + session.options.seconds + 1
}

/** Every round measures every arm once, freshly started, in an order of its own. */
export async function measureWorkload(session: Session, workload: Workload): Promise<void> {
  const names = armsOf(session.options, workload)
  for (let round = 1; round <= session.options.rounds; round++) {
    for (const name of shuffled(names, session.random)) {
      await keepSample(session, name, `${workload.part} round ${round}/${session.options.rounds}`, () =>
        withArm(session, findArm(name), {}, (running) =>
          measure(session, running, { ...workload, arm: name, round, cores: loadCore, armCores: [0] }),
        ),
      )
    }
  }
}

/** The arms of a part; what the user named, where in the pipelined part `millrace` means its pipelined form. */
export function armsOf(options: Options, workload: Workload): readonly string[] {
  if (options.arms === undefined) return workload.arms
  if (workload.part !== 'pipelined') return options.arms
  return [...new Set(options.arms.map((name) => (name === 'millrace' ? 'millrace-pipelined' : name)))]
}

/** Measures one arm once and keeps the sample. */
export function keepSample(
  session: Session,
  arm: string,
  where: string,
  work: () => Promise<Sample>,
): Promise<void> {
  return attempt(session, `${where}  ${arm.padEnd(18)}`, sampleSeconds(session), async () => {
    const sample = await work()
    session.results.samples.push(sample)
    if (sample.lostThreads > 0) {
      session.results.notes.push(
        `${where} ${arm}: ${sample.lostThreads} threads ended, some of their CPU time is missing`,
      )
    }
    return describe(sample)
  })
}

export interface Measurement {
  readonly part: string
  readonly arm: string
  readonly round: number
  readonly path: string
  readonly connections: number
  readonly upload: boolean
  /** CPU list of the load generator, and the arm's cores by number. */
  readonly cores: string
  readonly armCores: readonly number[]
}

/** Warm-up, then one reading of the CPU clocks on each side of the load. */
export async function measure(session: Session, running: RunningArm, what: Measurement): Promise<Sample> {
  const { pid } = running.started
  const load: WrkOptions = {
    url: `http://127.0.0.1:${running.port}${what.path}`,
    seconds: session.options.warmup,
    connections: what.connections,
    cores: what.cores,
    upload: what.upload,
  }
  for (const seconds of warmupParts(load.seconds)) {
    await runWrk(session.processes, { ...load, seconds })
    session.signal.throwIfAborted()
  }
  const busyBefore = busySeconds(what.armCores)
  const startedAt = performance.now()
  const before = readCpu(pid)
  const result = await runWrk(session.processes, { ...load, seconds: session.options.seconds })
  const cpu = cpuBetween(before, readCpu(pid))
  const wall = ((performance.now() - startedAt) / 1000) * what.armCores.length
  session.signal.throwIfAborted()
  const busy = cpu.nanoseconds / 1e9 / wall
  return {
    part: what.part,
    arm: what.arm,
    round: what.round,
    requests: result.requests,
    requestsPerSecond: result.requests / result.seconds,
    cpuMicros: cpu.nanoseconds / 1000 / Math.max(1, result.requests),
    userShare: cpu.userShare,
    busy,
    foreign: Math.max(0, (busySeconds(what.armCores) - busyBefore) / wall - busy),
    latency: result.latency,
    errors: result.errors,
    lostThreads: cpu.lostThreads,
  }
}

function describe(sample: Sample): string {
  const errors = sample.errors > 0 ? `  ${sample.errors} ERRORS` : ''
  const rate = Math.round(sample.requestsPerSecond).toLocaleString('en')
  return `${rate.padStart(8)} req/s ${sample.cpuMicros.toFixed(1).padStart(8)} µs/req  ${Math.round(sample.foreign * 100)} % foreign${errors}`
}
