/** Measures the parts that requests and reloads are made of, each by itself. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { ownModule } from '../own-module.ts'
import { Progress } from '../report/progress.ts'
import { asText } from '../report/tables.ts'
import { describeMachine } from '../stats/machine.ts'
import { type Group, groups, type MicroCase, titleOf } from './case.ts'
import { casesOf } from './cases.ts'
import { type Plan, plans } from './measure.ts'
import type { ThreadResult, ThreadWork } from './measuring-thread.ts'
import {
  type MicroResults,
  type MicroRow,
  microSchema,
  microTables,
  rowOf,
  time,
  writeMicro,
} from './results.ts'

const usage = `node --expose-gc bench/micro/run.ts [options]   (npm run -w bench micro -- [options])
  --only LIST   of ${groups.join(',')} (all)
  --quick       half a minute in all, for a first look
  --out DIR     for micro.json and micro.md (bench/results/micro-…)`

interface Options {
  readonly only: readonly Group[]
  readonly quick: boolean
  readonly out: string | undefined
}

/** @throws a message for the user */
function readOptions(parameters: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      only: { type: 'string', default: groups.join(',') },
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  })
  const only = values.only.split(',')
  const wrong = only.find((name) => !(groups as readonly string[]).includes(name))
  if (wrong !== undefined) throw new Error(`--only: unknown group "${wrong}"; there are ${groups.join(', ')}`)
  return { quick: values.quick, out: values.out, only: groups.filter((group) => only.includes(group)) }
}

/** Seconds that a case takes, with what is made before it and counted after it. */
const secondsOf = (plan: Plan): number => (plan.warmUpMs + plan.timeMs) / 1000 + 0.2 * plan.counting.tries

/** Measures the cases of one subject in a thread. */
async function measureSubject(work: ThreadWork, found: (result: ThreadResult) => void): Promise<void> {
  const thread = new Worker(ownModule('./measuring-thread', import.meta.url), { workerData: work })
  thread.on('message', found)
  await new Promise<void>((resolve, reject) => {
    thread.once('error', reject)
    thread.once('exit', () => resolve())
  })
}

async function measureAll(cases: readonly MicroCase[], plan: Plan): Promise<MicroRow[]> {
  const progress = new Progress(secondsOf(plan) * cases.length)
  const rows: MicroRow[] = []
  const subjects = Map.groupBy(cases, ({ group, subject }) => `${group} ${subject}`)
  for (const own of subjects.values()) {
    const { group, subject } = own[0]
    await measureSubject({ group, subject, plan }, ({ title, measured }) => {
      const one = own.find((candidate) => titleOf(candidate) === title)
      if (one !== undefined) rows.push(rowOf(one, measured))
      progress.advance(secondsOf(plan), `${title}: ${time(measured.ns)}`)
    })
  }
  return rows
}

async function main({ only, quick, out }: Options): Promise<void> {
  const startedAt = new Date().toISOString()
  const machine = describeMachine(import.meta.dirname)
  const cases = await casesOf(only)
  const rows = await measureAll(cases, plans[quick ? 'quick' : 'full'])
  const results: MicroResults = { schema: microSchema, startedAt, quick, machine, rows }
  for (const table of microTables(results)) console.log(asText(table))
  const directory =
    out ?? join(import.meta.dirname, '../results', `micro-${startedAt.replaceAll(':', '').slice(0, 17)}`)
  writeMicro(results, directory)
  console.log(`\n${rows.length} of ${cases.length} cases; micro.json and micro.md are in ${directory}`)
  if (rows.length < cases.length) process.exitCode = 1
}

if (process.argv.includes('--help')) console.log(usage)
else {
  try {
    await main(readOptions(process.argv.slice(2)))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 2
  }
}
