import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Arm, ArmContext, RunningArm } from '../arms/arm.ts'
import { type Backend, startBackend } from '../arms/backend.ts'
import { Processes } from '../arms/processes.ts'
import type { Options } from '../options.ts'
import type { Progress } from '../report/progress.ts'
import type { Results } from '../report/results.ts'

/** The core the arm runs on, and the one for everything else: backend, load generator and this script. */
export const armCore = '0'
export const loadCore = '1'

/** What all measurements of one run share. */
export interface Session {
  readonly options: Options
  readonly processes: Processes
  readonly directory: string
  readonly random: () => number
  readonly backend: Backend
  readonly progress: Progress
  readonly results: Results
  /** Aborted when the user or the time limit ends the run. */
  readonly signal: AbortSignal
}

/** Starts the backend, runs the work, and leaves nothing behind: no process, no temporary file. */
export async function withSession<T>(
  parts: Omit<Session, 'processes' | 'directory' | 'backend'>,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const processes = new Processes(directory)
  // A pinned script cannot disturb the arm's core; children are pinned each for itself.
  execFileSync('taskset', ['-cap', loadCore, String(process.pid)], { stdio: 'ignore' })
  const abort = () => void processes.stopAll()
  parts.signal.addEventListener('abort', abort)
  try {
    const backend = await startBackend(processes, directory, loadCore, parts.random)
    return await work({ ...parts, processes, directory, backend })
  } finally {
    parts.signal.removeEventListener('abort', abort)
    await processes.stopAll()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Starts an arm on its core, and stops it whatever happens. */
export async function withArm<T>(
  session: Session,
  arm: Arm,
  changes: Partial<ArmContext>,
  work: (running: RunningArm) => Promise<T>,
): Promise<T> {
  session.signal.throwIfAborted()
  const running = await arm.start({
    processes: session.processes,
    random: session.random,
    directory: session.directory,
    backendPort: session.backend.port,
    cores: armCore,
    threads: 1,
    pipelining: 1,
    millraceCommand: session.options.millraceCommand,
    ...changes,
  })
  try {
    return await work(running)
  } finally {
    await running.started.stop()
  }
}

/**
 * Runs one measurement; when the arm fails, that costs its own sample and a note, not the rest of the run. The whole
 * message is printed, its beginning goes into the report.
 */
export async function attempt(
  session: Session,
  where: string,
  plannedSeconds: number,
  work: () => Promise<string>,
): Promise<void> {
  let text: string
  try {
    text = await work()
  } catch (error) {
    session.signal.throwIfAborted()
    text = `FAILED: ${error instanceof Error ? error.message : String(error)}`
    session.results.notes.push(`${where} ${text.replaceAll(/\s+/g, ' ').slice(0, 300)}`)
  }
  session.progress.advance(plannedSeconds, `${where}  ${text}`)
}
