import { listProc, processTree, readProc } from './process-tree.ts'

/** A reading of the CPU clock of a process tree, by thread. */
export interface CpuReading {
  /** "pid/tid" → nanoseconds on a CPU. */
  readonly threads: ReadonlyMap<string, number>
  /** "pid/tid" → nanoseconds in which it could have run and had to wait for a CPU. */
  readonly waits: ReadonlyMap<string, number>
  /** "pid/tid" → clock ticks in user and in kernel mode. */
  readonly userTicks: ReadonlyMap<string, number>
  readonly kernelTicks: ReadonlyMap<string, number>
}

export interface CpuUse {
  /** Nanoseconds on a CPU of all threads, user and kernel. */
  readonly nanoseconds: number
  /** Nanoseconds of waiting for a CPU, of all threads: who shares the core, and how much that disturbs. */
  readonly waitedNanoseconds: number
  /** Share of it in user mode; sampled by the kernel, so good to a few percent. */
  readonly userShare: number
  /** That it was sampled from, of 10 ms; with none of them the share is unknown, and 0. */
  readonly ticks: number
  /** Threads that ended between the readings: what they used after the first one is missing. */
  readonly lostThreads: number
}

export function readCpu(root: number): CpuReading {
  const threads = new Map<string, number>()
  const waits = new Map<string, number>()
  const userTicks = new Map<string, number>()
  const kernelTicks = new Map<string, number>()
  for (const pid of processTree(root)) {
    for (const task of listProc(`/proc/${pid}/task`)) {
      const text = readProc(`/proc/${pid}/task/${task}/schedstat`)
      if (text === '') continue
      const [ran, waited] = text.split(' ').map(Number)
      threads.set(`${pid}/${task}`, ran)
      waits.set(`${pid}/${task}`, waited)
      // The name in parentheses may hold spaces: count fields from behind it (utime and stime are fields 14 and 15).
      const stat = readProc(`/proc/${pid}/task/${task}/stat`)
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      userTicks.set(`${pid}/${task}`, Number(fields[11] ?? 0))
      kernelTicks.set(`${pid}/${task}`, Number(fields[12] ?? 0))
    }
  }
  return { threads, waits, userTicks, kernelTicks }
}

export function cpuBetween(before: CpuReading, after: CpuReading): CpuUse {
  const nanoseconds = growth(before.threads, after.threads)
  let lostThreads = 0
  for (const thread of before.threads.keys()) if (!after.threads.has(thread)) lostThreads++
  const user = growth(before.userTicks, after.userTicks)
  const ticks = user + growth(before.kernelTicks, after.kernelTicks)
  const waitedNanoseconds = growth(before.waits, after.waits)
  return { nanoseconds, waitedNanoseconds, userShare: ticks > 0 ? user / ticks : 0, ticks, lostThreads }
}

/** A thread that is new counts from 0; one that has ended is missing. */
function growth(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const [thread, value] of after) sum += value - (before.get(thread) ?? 0)
  return sum
}
