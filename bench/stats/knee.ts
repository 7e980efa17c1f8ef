/**
 * Where an arm saturates, and its knee. In a closed loop of N connections two lines bound the throughput: N / R, with R the
 * response time of an idle arm, and the saturation X. Operational analysis puts the knee where they cross, at N* = X × R
 * connections: below it more load is answered sooner or as soon, above it requests only wait longer (Denning, Buzen, "The
 * operational analysis of queueing network models", ACM Computing Surveys 10(3), 1978; Gunther, "Mind your knees and queues",
 * CMG MeasureIT 7.08, 2009, on why that is the one knee that does not depend on how the curve is drawn). The throughput there
 * is what Jain (The Art of Computer Systems Performance Analysis, 1991, §3.3) calls the knee capacity.
 */

/** Connections that each wait for their answer before they ask again. */
export const kneeLadder: readonly number[] = [1, 8, 64, 256]

export interface KneeStep {
  readonly connections: number
  readonly requestsPerSecond: number
}

export interface Knee {
  /** All that was measured, by connections. */
  readonly steps: readonly KneeStep[]
  /** The highest throughput of any step. */
  readonly saturationPerSecond: number
  readonly kneeConnections: number
  /** Throughput at the knee. */
  readonly kneePerSecond: number
}

/** N*: the response time of a step is connections ÷ throughput (Little's law), that of the idle arm the shortest. */
export function kneeConnections(steps: readonly KneeStep[]): number {
  const saturation = Math.max(...steps.map((step) => step.requestsPerSecond))
  const idleSeconds = Math.min(...steps.map((step) => step.connections / step.requestsPerSecond))
  return Math.max(1, Math.round(saturation * idleSeconds))
}

/**
 * Measures the ladder, then the knee that it shows: a curve of four points says little about what lies between them.
 * @param measure requests per second; undefined when requests failed, which leaves the step out
 * @throws when no step could be measured, or not the knee
 */
export async function findKnee(measure: (connections: number) => Promise<number | undefined>): Promise<Knee> {
  const steps: KneeStep[] = []
  const add = async (connections: number): Promise<KneeStep | undefined> => {
    const requestsPerSecond = await measure(connections)
    if (requestsPerSecond === undefined || requestsPerSecond <= 0) return undefined
    const step = { connections, requestsPerSecond }
    steps.push(step)
    return step
  }
  for (const connections of kneeLadder) await add(connections)
  if (steps.length === 0) throw new Error(`no knee: requests failed at ${kneeLadder.join(', ')} connections`)
  const connections = kneeConnections(steps)
  const knee = steps.find((step) => step.connections === connections) ?? (await add(connections))
  if (knee === undefined) throw new Error(`no knee: requests failed at ${connections} connections`)
  return {
    steps: steps.sort((a, b) => a.connections - b.connections),
    saturationPerSecond: Math.max(...steps.map((step) => step.requestsPerSecond)),
    kneeConnections: connections,
    kneePerSecond: knee.requestsPerSecond,
  }
}
