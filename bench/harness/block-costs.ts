/** What a block costs beside time: readings before and after the load, of any program, and of Node's own when it is one. */
import type { RunningArm } from '../arms/arm.ts'
import type { BlockCosts } from '../report/bench-results.ts'
import { type CpuReading, cpuBetween, readCpu } from '../stats/cpu.ts'
import { beginProbes, endProbes, probesOf, type ThreadUse } from '../stats/node-probe.ts'
import { processTree, residentBytes, treeResidentBytes } from '../stats/process-tree.ts'
import { leastSquares, type Point } from '../stats/slope.ts'

const mebibyte = 1024 * 1024
/** Often enough for a line through a block of two seconds, and nothing for the machine. */
const sampleEveryMs = 200

export interface MeasuredCosts {
  /** For `Block.values`. */
  readonly values: Record<string, number>
  readonly costs: BlockCosts
}

export interface CostReadings {
  /** @param requests all that were sent since the beginning */
  end(requests: number): Promise<MeasuredCosts>
}

/**
 * Call it before the load, and `end` behind it. The questions to the program lie outside of both readings of its CPU clock.
 * @param loadSeconds that the block keeps it at work, with the warm-up
 */
export async function beginCosts(running: RunningArm, loadSeconds: number): Promise<CostReadings> {
  const { pid, probes } = running.started
  const sockets = probes === undefined ? [] : probesOf(probes, processTree(pid))
  const accepted = await running.accepted?.()
  const answering = await beginProbes(sockets)
  const memory = sampleMemory(pid)
  const cpu = readCpu(pid)
  return {
    async end(requests) {
      const used = cpuCosts(cpu, readCpu(pid), requests)
      const rss = memory.stop()
      const threads = await endProbes(answering)
      const missing: Record<string, string> = {}
      if (used.cpuUser === undefined) missing.cpu = 'the kernel saw it at no clock tick'
      if (probes === undefined) missing.node = 'the backend itself'
      else if (sockets.length === 0) missing.node = 'no Node program'
      else if (threads.length < sockets.length)
        missing.node = `${sockets.length - threads.length} of its threads gave no answer`
      const opened = accepted === undefined ? undefined : (await running.accepted!()) - accepted
      if (opened === undefined) missing.connections = 'the backend does not count them'
      const each = Math.max(1, requests)
      return {
        values: defined({
          ...used,
          rss: residentBytes(pid) / mebibyte,
          rssSlope: slopePerMinute(rss),
          opened: opened === undefined ? undefined : (opened / each) * 1000,
          ...(missing.node === undefined ? nodeCosts(threads, each) : {}),
        }),
        costs: { pid, requests, loadSeconds, rss: rss.map((p) => [p.seconds, p.value]), threads, missing },
      }
    },
  }
}

function cpuCosts(before: CpuReading, after: CpuReading, requests: number) {
  const used = cpuBetween(before, after)
  const each = 1000 * Math.max(1, requests)
  const cpu = used.nanoseconds / each
  const known = used.ticks > 0
  return {
    cpu,
    runDelay: used.waitedNanoseconds / each,
    cpuUser: known ? cpu * used.userShare : undefined,
    cpuSystem: known ? cpu * (1 - used.userShare) : undefined,
  }
}

/** Pauses stop one thread, so shares are those of the thread that has most of them; what is counted is summed. */
function nodeCosts(threads: readonly ThreadUse[], requests: number): Record<string, number> {
  const sum = (of: (thread: ThreadUse) => number) => threads.reduce((total, one) => total + of(one), 0)
  const most = (of: (thread: ThreadUse) => number) => Math.max(...threads.map(of))
  return {
    gcCount: sum((one) => one.collections),
    gcMs: sum((one) => one.gcMs),
    gcShare: most((one) => one.gcMs / 1000 / one.seconds),
    gcLongest: most((one) => one.longestMs),
    gcPer1000: (sum((one) => one.collections) / requests) * 1000,
    allocated: sum((one) => one.allocatedBytes) / requests,
    heap: sum((one) => one.heapBytes) / mebibyte,
    loopBusy: most((one) => one.loopBusy),
  }
}

/** MiB against seconds. The tree is looked up once: a comparator's workers stay the same in a block. */
function sampleMemory(root: number): { stop(): Point[] } {
  const pids = processTree(root)
  const startedAt = performance.now()
  const points: Point[] = []
  const sample = () => {
    const seconds = Math.round(performance.now() - startedAt) / 1000
    points.push({ seconds, value: treeResidentBytes(pids) / mebibyte })
  }
  sample()
  const timer = setInterval(sample, sampleEveryMs)
  return {
    stop() {
      clearInterval(timer)
      sample()
      return points
    },
  }
}

function slopePerMinute(points: readonly Point[]): number | undefined {
  return points.length < 3 ? undefined : leastSquares(points).slope * 60
}

function defined(values: Readonly<Record<string, number | undefined>>): Record<string, number> {
  const known = Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined)
  return Object.fromEntries(known)
}
