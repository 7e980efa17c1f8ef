import { listProc, processTree, readProc } from './process-tree.ts'

/** A reading of the CPU clock of a process tree, by thread. */
export interface CpuReading {
  /** "pid/tid" → nanoseconds on a CPU. */
  readonly threads: ReadonlyMap<string, number>
  /** Clock ticks in user and in kernel mode, of living and dead threads. */
  readonly userTicks: number
  readonly kernelTicks: number
}

export interface CpuUse {
  /** Nanoseconds on a CPU of all threads, user and kernel. */
  readonly nanoseconds: number
  /** Share of it in user mode; sampled by the kernel, so good to a few percent. */
  readonly userShare: number
  /** Threads that ended between the readings: what they used after the first one is missing. */
  readonly lostThreads: number
}

export function readCpu(root: number): CpuReading {
  const threads = new Map<string, number>()
  let userTicks = 0
  let kernelTicks = 0
  for (const pid of processTree(root)) {
    for (const task of listProc(`/proc/${pid}/task`)) {
      const text = readProc(`/proc/${pid}/task/${task}/schedstat`)
      if (text !== '') threads.set(`${pid}/${task}`, Number(text.split(' ')[0]))
    }
    // The name in parentheses may hold spaces: count fields from behind it (utime and stime are fields 14 and 15).
    const stat = readProc(`/proc/${pid}/stat`)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    userTicks += Number(fields[11] ?? 0)
    kernelTicks += Number(fields[12] ?? 0)
  }
  return { threads, userTicks, kernelTicks }
}

export function cpuBetween(before: CpuReading, after: CpuReading): CpuUse {
  let nanoseconds = 0
  for (const [thread, value] of after.threads) nanoseconds += value - (before.threads.get(thread) ?? 0)
  let lostThreads = 0
  for (const thread of before.threads.keys()) if (!after.threads.has(thread)) lostThreads++
  const user = after.userTicks - before.userTicks
  const ticks = user + after.kernelTicks - before.kernelTicks
  return { nanoseconds, userShare: ticks > 0 ? user / ticks : 0, lostThreads }
}
