import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
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
  /** Of the checkout; of an installed package its version, such as `v1.2.0`. */
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
    commit:
      publishedVersion() ?? firstMatch('git', ['-C', directory, 'describe', '--always', '--dirty'], /(\S+)/),
    loadAtStart: loadavg()[0],
  }
}

/** undefined in a checkout. A package may lie in somebody's repository, whose commit says nothing of it. */
function publishedVersion(): string | undefined {
  if (import.meta.url.endsWith('.ts')) return undefined
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return `v${(JSON.parse(text) as { version: string }).version}`
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

/** What must be the same for a measure of noise to hold: patches of kernel and Node, and who else is at work, do not count. */
export function machineDifferences(one: Machine, other: Machine): string[] {
  const [a, b] = [fingerprint(one), fingerprint(other)]
  return Object.keys(a)
    .filter((key) => a[key] !== b[key])
    .map((key) => `${key}: ${a[key]} there, ${b[key]} here`)
}

function fingerprint({ cpu, cores, memoryBytes, kernel, node }: Machine): Record<string, string> {
  return {
    processor: cpu,
    cores: String(cores),
    memory: `${Math.round(memoryBytes / 2 ** 30)} GiB`,
    Linux: kernel.split('.').slice(0, 2).join('.'),
    Node: node.split('.')[0],
  }
}
