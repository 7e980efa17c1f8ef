/** Which open-loop blocks say something about the server, and which about the driver. */
import type { OpenLoopResult } from './open-loop.ts'

/** Of the median latency, at the 99th percentile of the driver's lag. */
const lagShare = 0.1
/** Of the planned requests, completed. */
const reachedShare = 0.99
/** Of a core: beyond it the driver had no time left. */
const fullCore = 0.95

/** Why a block has to be thrown out, in words for the report; empty: it counts. */
export function blockFaults(result: OpenLoopResult): string[] {
  const faults: string[] = []
  if (result.failed > 0) {
    const kinds = Object.entries(result.failures).map(([kind, count]) => `${count} × ${kind}`)
    faults.push(`${result.failed} of ${result.planned} requests failed (${kinds.join(', ')})`)
  }
  if (result.lag.p99 > lagShare * result.latency.p50) {
    faults.push(
      `the driver lagged: p99 ${milliseconds(result.lag.p99)} of a median latency of ${milliseconds(result.latency.p50)}`,
    )
  }
  const rate = (result.completed / result.options.seconds / result.options.ratePerSecond) * 100
  const reached = result.planned === 0 ? 0 : result.completed / result.planned
  if (reached < reachedShare) {
    faults.push(
      `${(reached * 100).toFixed(1)} % of the planned requests were answered (${rate.toFixed(1)} % of the rate)`,
    )
  }
  if (result.driverCpu > fullCore) {
    faults.push(`the driver used ${Math.round(result.driverCpu * 100)} % of its core`)
  }
  return faults
}

const milliseconds = (ms: number): string => `${ms.toFixed(ms < 1 ? 3 : 1)} ms`
