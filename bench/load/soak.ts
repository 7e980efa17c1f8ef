import { setTimeout as delay } from 'node:timers/promises'
import type { RunningArm } from '../arms/arm.ts'
import { findArm } from '../arms/catalog.ts'
import type { SoakResult, SoakSeries } from '../report/results.ts'
import { openDescriptors, residentBytes } from '../stats/process-tree.ts'
import { parseGauges } from '../stats/prometheus.ts'
import { type Point, trend } from '../stats/slope.ts'
import { startMixedLoad } from './mixed.ts'
import { type Session, withArm } from './session.ts'

/** Which of the proxy's own gauges are followed. */
const followed = /heap|external_memory|slot|in_flight|connection|tunnel|arena|queue/

/** Mixed load with aborts for the given minutes; nothing may grow. */
export async function measureSoak(session: Session): Promise<void> {
  const arm = findArm(session.options.arms?.[0] ?? 'millrace')
  session.results.soak = await withArm(session, arm, {}, (running) => soak(session, running))
}

async function soak(session: Session, running: RunningArm): Promise<SoakResult> {
  const seconds = session.options.soakMinutes * 60
  const everySeconds = Math.min(5, seconds / 40)
  const series = new Map<string, Point[]>()
  const descriptorsBefore = openDescriptors(running.started.pid)
  const load = startMixedLoad(running.port, session.random)
  const startedAt = performance.now()
  let said = 0
  try {
    for (let elapsed = 0; elapsed < seconds; ) {
      await delay(everySeconds * 1000, undefined, { signal: session.signal })
      const now = (performance.now() - startedAt) / 1000
      await sample(running, now, series)
      said += now - elapsed
      if (said >= 30 || now >= seconds) {
        session.progress.advance(said, describe(load.counts, load.failures.length, series))
        said = 0
      }
      elapsed = now
    }
  } finally {
    await load.stop()
  }
  // What a client left behind must be gone soon after; five seconds are plenty on loopback.
  await delay(5_000)
  return {
    minutes: session.options.soakMinutes,
    series: [...series].flatMap(([name, points]) => judge(name, points) ?? []),
    counts: load.counts,
    failures: load.failures,
    descriptorsBefore,
    descriptorsAfter: openDescriptors(running.started.pid),
  }
}

async function sample(running: RunningArm, seconds: number, series: Map<string, Point[]>): Promise<void> {
  const add = (name: string, value: number) => {
    const points = series.get(name) ?? []
    points.push({ seconds, value })
    series.set(name, points)
  }
  add('resident bytes', residentBytes(running.started.pid))
  add('descriptors', openDescriptors(running.started.pid))
  if (running.adminPort === undefined) return
  const response = await fetch(`http://127.0.0.1:${running.adminPort}/metrics`, {
    signal: AbortSignal.timeout(5_000),
  })
  for (const [name, value] of parseGauges(await response.text())) if (followed.test(name)) add(name, value)
}

/** Level: the lower envelope rises by no more than 5 % and a fixed slack, 4 MiB for memory and 5 for anything counted. */
function judge(name: string, points: readonly Point[]): SoakSeries | undefined {
  const line = trend(points)
  if (line === undefined) return undefined
  const slack = /bytes/.test(name) ? 4 * 1024 * 1024 : 5
  const allowance = slack + 0.05 * Math.max(0, line.first)
  return { name, trend: line, allowance, level: line.last - line.first <= allowance, points }
}

function describe(counts: Record<string, number>, failures: number, series: Map<string, Point[]>): string {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  const resident = (series.get('resident bytes')?.at(-1)?.value ?? 0) / 1024 / 1024
  const open = series.get('descriptors')?.at(-1)?.value ?? 0
  return `soak  ${total} exchanges, ${failures} failed, RSS ${resident.toFixed(0)} MiB, ${open} descriptors`
}
