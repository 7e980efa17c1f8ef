import { setTimeout as delay } from 'node:timers/promises'
import type { RunningArm } from '../arms/arm.ts'
import { findArm } from '../arms/catalog.ts'
import type { SoakResult, SoakSeries } from '../report/results.ts'
import { liveHeaps, probesOf } from '../stats/node-probe.ts'
import { openDescriptors, processTree, residentBytes } from '../stats/process-tree.ts'
import { parseGauges } from '../stats/prometheus.ts'
import { type Point, trend } from '../stats/slope.ts'
import { type MixedLoad, startMixedLoad } from './mixed.ts'
import { type Session, withArm } from './session.ts'

/** Which of the proxy's own gauges are followed. */
const followed = /heap|external_memory|slot|in_flight|connection|tunnel|arena|queue|pool_open/
const reloadEverySeconds = 15
/** Samples for one of the live heap: its full collections, a few in all, leave resident memory to what V8 does by itself. */
const samplesPerCollection = 8
const heapSeries = 'heap bytes alive'
/**
 * Below this V8's own business moves a heap: what it notes of functions that it compiles and drops. The slope is known no better
 * than one such step over the judged time.
 */
const heapStep = 0.1 * 1024 * 1024

/**
 * Share of the time that is warm-up. What runs at reloads and aborts only, is compiled after minutes, and V8 notes what compiled code
 * depends on in lists that keep the greatest length they had: at first they become longer and longer, more and more slowly.
 */
const settle = 0.5

/** With its warm-up, a soak that judges so many minutes. */
export const soakSeconds = (minutes: number): number => (minutes * 60) / (1 - settle)

/** Mixed load with aborts, and config reloads, for the given minutes after a warm-up; nothing may grow. */
export async function measureSoak(session: Session): Promise<void> {
  const arm = findArm(session.options.arms?.[0] ?? 'millrace')
  const [node, ...rest] = session.options.millraceCommand
  const changes = {
    processes: session.processes.probed(),
    millraceCommand: [node, '--expose-gc', ...rest],
  }
  session.results.soak = await withArm(session, arm, changes, (running) => soak(session, running))
}

async function soak(session: Session, running: RunningArm): Promise<SoakResult> {
  const { pid } = running.started
  const descriptorsBefore = openDescriptors(pid)
  const series = new Map<string, Point[]>()
  const load = startMixedLoad(running.port, session.random)
  let reloads = 0
  try {
    reloads = await observe(session, running, load, series)
  } finally {
    await load.stop()
  }
  // What a client left behind must be gone soon after; five seconds are plenty on loopback.
  await delay(5_000)
  return {
    minutes: session.options.soakMinutes,
    series: [...series].flatMap(([name, points]) => judgeSeries(name, points) ?? []),
    counts: load.counts,
    failures: load.failures,
    reloads,
    descriptorsBefore,
    descriptorsAfter: openDescriptors(pid),
    gaugesAfter: Object.fromEntries(await readGauges(running)),
  }
}

/** Samples and reloads until the time is over; gives the number of reloads. */
async function observe(
  session: Session,
  running: RunningArm,
  load: MixedLoad,
  series: Map<string, Point[]>,
): Promise<number> {
  const seconds = soakSeconds(session.options.soakMinutes)
  const startedAt = performance.now()
  let reloads = 0
  let said = 0
  let samples = 0
  for (let now = 0; now < seconds; ) {
    await delay(Math.min(5, seconds / 80) * 1000, undefined, { signal: session.signal })
    const elapsed = (performance.now() - startedAt) / 1000
    await sample(running, elapsed, series)
    if (++samples % samplesPerCollection === 0) await sampleHeaps(running, elapsed, series)
    if (running.setBackends !== undefined && elapsed > (reloads + 1) * reloadEverySeconds) {
      running.setBackends(reloads++ % 2 === 0 ? 2 : 1)
    }
    said += elapsed - now
    if (said >= 30 || elapsed >= seconds) {
      session.progress.advance(said, describe(load, series))
      said = 0
    }
    now = elapsed
  }
  return reloads
}

type Series = Map<string, Point[]>

function add(series: Series, name: string, seconds: number, value: number): void {
  const points = series.get(name) ?? []
  points.push({ seconds, value })
  series.set(name, points)
}

async function sample(running: RunningArm, seconds: number, series: Series): Promise<void> {
  const { pid } = running.started
  add(series, 'resident bytes', seconds, residentBytes(pid))
  add(series, 'descriptors', seconds, openDescriptors(pid))
  for (const [name, value] of await readGauges(running)) add(series, name, seconds, value)
}

/** What is alive, not what V8 has not yet cleared away: between two full collections of the main thread lie ten minutes and more. */
async function sampleHeaps(running: RunningArm, seconds: number, series: Series): Promise<void> {
  const { pid, probes } = running.started
  const heaps = probes === undefined ? [] : await liveHeaps(probesOf(probes, processTree(pid)))
  for (const { thread, bytes } of heaps)
    add(series, `${heapSeries}, ${thread === 0 ? 'main thread' : `thread ${thread}`}`, seconds, bytes)
}

async function readGauges(running: RunningArm): Promise<[string, number][]> {
  if (running.adminPort === undefined) return []
  const response = await fetch(`http://127.0.0.1:${running.adminPort}/metrics`, {
    signal: AbortSignal.timeout(10_000),
  })
  return [...parseGauges(await response.text())].filter(([name]) => followed.test(name))
}

/**
 * Memory drifts when the whole 99 % interval of its slope lies above 0: no rise is small enough, only too uncertain. What is counted
 * is level while its lower envelope rises by no more than 5 % and 20, a random walk of that many clients.
 */
export function judgeSeries(name: string, points: readonly Point[]): SoakSeries | undefined {
  const line = trend(points, name.startsWith(heapSeries) ? heapStep : 0, settle)
  if (line === undefined) return undefined
  if (/bytes/.test(name)) return { name, trend: line, allowance: undefined, level: !(line.low > 0), points }
  const allowance = 20 + 0.05 * Math.max(0, line.first)
  return { name, trend: line, allowance, level: line.last - line.first <= allowance, points }
}

function describe(load: MixedLoad, series: Map<string, Point[]>): string {
  const total = Object.values(load.counts).reduce((sum, count) => sum + count, 0)
  const resident = (series.get('resident bytes')?.at(-1)?.value ?? 0) / 1024 / 1024
  const open = series.get('descriptors')?.at(-1)?.value ?? 0
  return `soak  ${total} exchanges, ${load.failures.length} failed, RSS ${resident.toFixed(0)} MiB, ${open} descriptors`
}
