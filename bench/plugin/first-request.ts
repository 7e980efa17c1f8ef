/** One request through the plugin, before anything is measured: what it answers otherwise than was meant is said at once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Arm } from '../arms/arm.ts'
import { startBackend } from '../arms/backend.ts'
import { defaultMillraceCommand } from '../arms/millrace.ts'
import { Processes } from '../arms/processes.ts'
import { seededRandom } from '../stats/random.ts'

export interface FirstRequest {
  /** With the plugin, and the status that it is to answer with. */
  readonly arm: Arm
  readonly headers: Readonly<Record<string, string>>
  readonly seed: number
  readonly signal: AbortSignal
}

/** Leaves nothing behind. @throws OtherStatusError; the words of the process where it does not start */
export async function askOnce({ arm, headers, seed, signal }: FirstRequest): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const processes = new Processes(directory)
  const random = seededRandom(seed)
  const abort = (): void => void processes.stopAll()
  signal.addEventListener('abort', abort)
  try {
    // Nothing is measured: the core that every machine has will do.
    const cores = '0'
    const backend = await startBackend(processes, directory, cores, random)
    await arm.start({
      ...{ processes, random, directory, cores, headers, backendPort: backend.port },
      ...{ threads: 1, pipelining: 1, millraceCommand: defaultMillraceCommand },
    })
  } finally {
    signal.removeEventListener('abort', abort)
    await processes.stopAll()
    rmSync(directory, { recursive: true, force: true })
  }
}
