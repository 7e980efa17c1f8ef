import { fileURLToPath } from 'node:url'
import type { Processes } from '../arms/processes.ts'

const script = fileURLToPath(new URL('./wrk.lua', import.meta.url))

export interface WrkOptions {
  readonly url: string
  readonly seconds: number
  readonly connections: number
  readonly cores: string
  readonly upload: boolean
  /** false: a new connection for each request. */
  readonly keepAlive?: boolean
  /** Fields of every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** Status that every answer is to have; any of 2xx and 3xx when left out. */
  readonly expect?: number
}

export interface WrkResult {
  /** Responses that arrived whole, whatever their status. */
  readonly requests: number
  readonly seconds: number
  /** Closed-loop, so an indication only. Microseconds. */
  readonly latency: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
  /** Answers of another status than was expected, and socket errors: must be none for a figure to count. */
  readonly errors: number
}

/** Runs wrk with one thread; fails when it does not end in time or reports nothing. */
export async function runWrk(processes: Processes, options: WrkOptions): Promise<WrkResult> {
  const command = [
    'wrk',
    '-t1',
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    '--timeout',
    '10s',
    ...(options.keepAlive === false ? ['-H', 'Connection: close'] : []),
    ...Object.entries(options.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    '-s',
    script,
  ]
  const ours = [options.upload ? 'upload' : '', String(options.expect ?? '')]
  const started = processes.start('wrk', [...command, options.url, '--', ...ours], { cores: options.cores })
  const timer = setTimeout(() => void started.stop(), (options.seconds + 15) * 1000)
  await started.exited
  clearTimeout(timer)
  return parseWrk(started.output())
}

/** Reads the line that wrk.lua prints last, and the driver of autocannon alike. */
export function parseWrk(output: string, tool = 'wrk'): WrkResult {
  const line = output.split('\n').findLast((text) => text.startsWith('{"requests"'))
  if (line === undefined) throw new Error(`${tool} gave no result:\n${output}`)
  const fields = JSON.parse(line) as Record<string, number>
  return {
    requests: fields.requests,
    seconds: fields.microseconds / 1e6,
    latency: { p50: fields.p50, p90: fields.p90, p99: fields.p99, max: fields.max },
    errors: fields.connect + fields.read + fields.write + fields.timeout + fields.status,
  }
}
