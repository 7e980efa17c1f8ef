import { join } from 'node:path'
import { findArm } from './arms/catalog.ts'
import { repository } from './arms/millrace.ts'
import { idleRounds, idleSeconds, measureIdle } from './load/idle.ts'
import { type Session, withSession } from './load/session.ts'
import { measureSoak, soakSeconds } from './load/soak.ts'
import { measureThreads } from './load/threads.ts'
import { armsOf, measureWorkload, sampleSeconds, workloads } from './load/throughput.ts'
import type { Options, Part } from './options.ts'
import { evaluate } from './report/checks.ts'
import { duration, Progress } from './report/progress.ts'
import type { Results } from './report/results.ts'
import { soakFaults } from './report/soak-report.ts'
import { allTables, asText } from './report/tables.ts'
import { writeReport } from './report/write.ts'
import { describeMachine } from './stats/machine.ts'
import { seededRandom } from './stats/random.ts'

/** Measures what the options name, prints and writes the report; gives the exit status: 0, or 1 when a gate failed. */
export async function runBench(options: Options): Promise<number> {
  for (const name of options.arms ?? []) findArm(name)
  const results: Results = {
    startedAt: new Date().toISOString(),
    machine: describeMachine(repository),
    seed: options.seed,
    rounds: options.rounds,
    seconds: options.seconds,
    samples: [],
    idle: [],
    soak: undefined,
    notes: [],
  }
  if (results.machine.cores < 2) throw new Error('two cores are needed: one for the arm, one for the load')
  if (results.machine.loadAtStart > 0.5) {
    note(
      results,
      `Others used this machine (load average ${results.machine.loadAtStart.toFixed(2)}): the figures are noisy.`,
    )
  }
  const out =
    options.out ?? join(repository, 'bench/results', results.startedAt.replaceAll(':', '').slice(0, 17))
  const planned = options.only.reduce((sum, part) => sum + plannedSeconds(options, part), 5)
  const progress = new Progress(planned)
  const limit = interruptible(planned * 3 + 120)
  try {
    await withSession(
      { options, random: seededRandom(options.seed), progress, results, signal: limit.signal },
      (session) => measureParts(session, out),
    )
  } finally {
    limit.release()
  }
  for (const table of allTables(results)) progress.say(asText(table))
  for (const text of results.notes) progress.say(`\n! ${text}`)
  progress.say(`\nseed ${options.seed}; written to ${out}/results.{json,md} and cpu.svg`)
  const soakFailed = results.soak !== undefined && soakFaults(results.soak).length > 0
  return soakFailed || evaluate(results).some((check) => check.verdict === 'GATE FAILED') ? 1 : 0
}

/** One part after the other; what is measured is on disk after each, and a part that fails does not cost the others. */
async function measureParts(session: Session, out: string): Promise<void> {
  for (const part of session.options.only) {
    session.progress.say(`\n— ${part} —`)
    try {
      await measurePart(session, part)
    } catch (error) {
      const cause = session.signal.aborted ? session.signal.reason : error
      note(session.results, `${part} ended early: ${cause instanceof Error ? cause.message : String(cause)}`)
      session.progress.say(session.results.notes.at(-1) ?? '')
    }
    writeReport(session.results, out)
    if (session.signal.aborted) return
  }
}

async function measurePart(session: Session, part: Part): Promise<void> {
  if (part === 'idle') await measureIdle(session)
  else if (part === 'threads') await measureThreads(session)
  else if (part === 'soak') await measureSoak(session)
  else await measureWorkload(session, workloadOf(part))
}

function workloadOf(part: Part) {
  const workload = workloads.find((candidate) => candidate.part === part)
  if (workload === undefined) throw new Error(`no workload "${part}"`)
  return workload
}

/** Seconds; shown as time left, and a third of the time after which the run is ended. */
function plannedSeconds(options: Options, part: Part): number {
  if (part === 'soak') return soakSeconds(options.soakMinutes)
  if (part === 'idle') return idleRounds({ options }) * (options.arms?.length ?? 4) * idleSeconds
  if (part === 'threads') return options.rounds * 2 * sampleSeconds({ options })
  return options.rounds * armsOf(options, workloadOf(part)).length * sampleSeconds({ options })
}

function note(results: Results, text: string): void {
  results.notes.push(text)
}

/** A signal that Ctrl-C, SIGTERM or the time limit aborts; the report of what was measured is still written. */
function interruptible(seconds: number): { signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  const stop = () => controller.abort(new Error('interrupted'))
  const timer = setTimeout(
    () => controller.abort(new Error(`not done in ${duration(seconds)}`)),
    seconds * 1000,
  )
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  return {
    signal: controller.signal,
    release() {
      clearTimeout(timer)
      process.removeListener('SIGINT', stop)
      process.removeListener('SIGTERM', stop)
    },
  }
}
