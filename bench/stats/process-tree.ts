import { readdirSync, readFileSync } from 'node:fs'

/** Text of a file under /proc; empty when the process or thread has gone meanwhile. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

export function listProc(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** The process and all its descendants (a comparator's workers are its children). */
export function processTree(root: number): number[] {
  const found = [root]
  for (let next = 0; next < found.length; next++) {
    for (const task of listProc(`/proc/${found[next]}/task`)) {
      const children = readProc(`/proc/${found[next]}/task/${task}/children`).trim()
      if (children !== '') found.push(...children.split(' ').map(Number))
    }
  }
  return found
}

/** Resident set of the whole tree, in bytes. */
export function residentBytes(root: number): number {
  return treeResidentBytes(processTree(root))
}

/** Resident set of these processes, in bytes; those that have gone count nothing. */
export function treeResidentBytes(pids: readonly number[]): number {
  let kib = 0
  for (const pid of pids) {
    kib += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readProc(`/proc/${pid}/status`))?.[1] ?? 0)
  }
  return kib * 1024
}

/** Open descriptors of the whole tree. */
export function openDescriptors(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + listProc(`/proc/${pid}/fd`).length, 0)
}

/** Hard limit of open files of this process; children inherit it. */
export function descriptorLimit(): number {
  const fields = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readProc('/proc/self/limits'))
  return fields?.[2] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(fields?.[2] ?? 0)
}
