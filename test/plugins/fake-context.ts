import type { Clock, HealthContext, HealthResult } from 'millrace'
import { baseContext } from '../../bench/fixtures/context.ts'

export { FakeTime, seeded, type ThreadShape, threadContext } from '../../bench/fixtures/context.ts'

export interface Report extends HealthResult {
  readonly id: string
  readonly authoritative: boolean
}

export interface FakeHealthHost {
  readonly context: HealthContext
  readonly reports: Report[]
  /** Runs what was deferred, in reverse order. */
  stop(): Promise<void>
}

export function healthHost(shape: {
  clock: Clock
  intervalMs?: number
  timeoutMs?: number
  seed?: number
}): FakeHealthHost {
  const reports: Report[] = []
  const releases: (() => void | PromiseLike<void>)[] = []
  const context: HealthContext = {
    ...baseContext(shape.clock, shape.seed ?? 1),
    intervalMs: shape.intervalMs ?? 1000,
    timeoutMs: shape.timeoutMs ?? 500,
    store: undefined,
    defer: (release) => releases.push(release),
    report: (id, result) => reports.push({ id, ...result, authoritative: false }),
    set: (id, result) => reports.push({ id, ...result, authoritative: true }),
  }
  const stop = async (): Promise<void> => {
    for (const release of releases.splice(0).reverse()) await release()
  }
  return { context, reports, stop }
}
