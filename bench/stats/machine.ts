import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { readProc } from './process-tree.ts'

/** What the figures were taken on; without it they mean nothing. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly node: string
  readonly nginx: string
  readonly haproxy: string
  readonly commit: string
  /** One-minute load average at the start: over 0.5 somebody else is at work here. */
  readonly loadAtStart: number
}

export function describeMachine(directory: string): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    nginx: firstMatch('nginx', ['-v'], /nginx\/(\S+)/),
    haproxy: firstMatch('haproxy', ['-v'], /version (\S+)/),
    commit: firstMatch('git', ['-C', directory, 'describe', '--always', '--dirty'], /(\S+)/),
    loadAtStart: loadavg()[0],
  }
}

function firstMatch(command: string, parameters: string[], pattern: RegExp): string {
  try {
    // nginx writes its version to the error stream.
    const text = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', command, ...parameters], { encoding: 'utf8' })
    return pattern.exec(text)?.[1] ?? 'unknown'
  } catch {
    return 'absent'
  }
}

/** Seconds the given cores were busy since boot, whoever used them. */
export function busySeconds(cores: readonly number[]): number {
  let ticks = 0
  for (const line of readProc('/proc/stat').split('\n')) {
    const core = /^cpu(\d+) /.exec(line)?.[1]
    if (core === undefined || !cores.includes(Number(core))) continue
    const [user, nice, system, , , irq, softirq, steal] = line.split(' ').slice(1).map(Number)
    ticks += user + nice + system + irq + softirq + steal
  }
  return ticks / 100
}
