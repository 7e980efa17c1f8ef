/** What drives the closed loops: wrk, or autocannon where wrk is not installed. Both say the same about a load. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../../core/host/errors.ts'
import type { Processes } from '../arms/processes.ts'
import { ownModule } from '../own-module.ts'
import { packageFile, packageUrl } from '../packages.ts'
import { parseWrk, runWrk, type WrkOptions, type WrkResult } from './wrk.ts'

export const loadTools = ['wrk', 'autocannon'] as const
export type LoadTool = (typeof loadTools)[number]

export interface ClosedLoop {
  readonly tool: LoadTool
  readonly version: string
  /** What the reader of a report must know. */
  readonly note: string | undefined
  run(processes: Processes, options: WrkOptions): Promise<WrkResult>
}

const driver = fileURLToPath(ownModule('./autocannon-driver', import.meta.url))

/**
 * @param forced by the user
 * @throws MR_USAGE when it is not installed, or is none
 */
export function closedLoop(forced?: string): ClosedLoop {
  if (forced !== undefined && !(loadTools as readonly string[]).includes(forced))
    throw new MillraceError('MR_USAGE', `--load: ${loadTools.join(' or ')} expected, not "${forced}"`)
  if (forced === 'autocannon') return autocannonLoop()
  const version = wrkVersion()
  if (version !== undefined) return { tool: 'wrk', version, note: undefined, run: runWrk }
  if (forced === 'wrk') throw new MillraceError('MR_USAGE', '--load: wrk is not installed')
  return autocannonLoop()
}

function autocannonLoop(): ClosedLoop {
  const file = packageFile('autocannon/package.json')
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return {
    tool: 'autocannon',
    version,
    note:
      'Closed loops are driven by autocannon, which needs more CPU for a request than most proxies: throughput is what it ' +
      'can ask for. Trust the CPU per request.',
    run: runAutocannon,
  }
}

/** Fails when it does not end in time or reports nothing. */
export async function runAutocannon(processes: Processes, options: WrkOptions): Promise<WrkResult> {
  const { url, seconds, connections, upload, keepAlive = true, headers, expect } = options
  const asked = { url, seconds, connections, upload, keepAlive, headers, expect }
  const command = [process.execPath, '--no-deprecation', driver]
  const started = processes.start(
    'autocannon',
    [...command, packageUrl('autocannon'), JSON.stringify(asked)],
    { cores: options.cores },
  )
  const timer = setTimeout(() => void started.stop(), (seconds + 15) * 1000)
  await started.exited
  clearTimeout(timer)
  return parseWrk(started.output(), 'autocannon')
}

/** undefined: it is not installed. `wrk -v` says its version and fails. */
function wrkVersion(): string | undefined {
  const { error, stdout, stderr } = spawnSync('wrk', ['-v'], { encoding: 'utf8' })
  if (error !== undefined) return undefined
  return /wrk \D*(\d[\w.]*)/.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown'
}
