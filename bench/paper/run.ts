/** `millrace bench paper`: Maglev §5.3 again, and how much one machine holds. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from '../arms/millrace.ts'
import { asMarkdown, asText } from '../report/tables.ts'
import { describeMachine, type Machine } from '../stats/machine.ts'
import { descriptorLimit } from '../stats/process-tree.ts'
import { type HashingPlan, hashingPlans, measureHashing } from './hashing.ts'
import { hashingChart, hashingTables, hashingWords } from './hashing-report.ts'
import { type PaperResults, paperSchema } from './results.ts'
import { measureSizing, type SizingPlan, sizingPlans } from './sizing.ts'
import { sizingChart, sizingTables, sizingWords } from './sizing-report.ts'

export const paperParts = ['maglev', 'sizing'] as const
export type PaperPart = (typeof paperParts)[number]

export interface PaperOptions {
  /** Everything, when it is left out. */
  readonly only: PaperPart | undefined
  readonly quick: boolean
  readonly seed: number
  /** Instead of those that `quick` stands for. */
  readonly plans?: { readonly hashing: HashingPlan; readonly sizing: SizingPlan }
  readonly signal: AbortSignal
  say(text: string): void
}

/** Throws a message for the user when there is no such part. */
export function findPaperPart(name: string): PaperPart {
  const part = paperParts.find((one) => one === name)
  if (part === undefined)
    throw new Error(`--only: unknown part "${name}"; there are ${paperParts.join(', ')}`)
  return part
}

/** When the sizing fails, that is a note: the rest stands. @throws when it was all that was asked for */
export async function measurePaper(options: PaperOptions): Promise<PaperResults> {
  const { only, quick, seed, signal, say } = options
  const kind = quick ? 'quick' : 'full'
  const plans = options.plans ?? { hashing: hashingPlans[kind], sizing: sizingPlans[kind] }
  const startedAt = new Date().toISOString()
  const machine = describeMachine(repository)
  const notes: string[] = []
  if (machine.loadAtStart > 0.5)
    notes.push(
      `Others used this machine (load average ${machine.loadAtStart.toFixed(2)}): times and rates are noisy.`,
    )
  const run = { seed, signal, say }
  const hashing = only === 'sizing' ? undefined : await measureHashing({ ...run, plan: plans.hashing })
  const sizing =
    only === 'maglev'
      ? undefined
      : await trySizing(
          options,
          () => {
            const plan = possible(plans.sizing, machine, notes)
            return measureSizing({ ...run, plan })
          },
          notes,
        )
  return { schema: paperSchema, startedAt, quick, seed, machine, hashing, sizing, notes }
}

async function trySizing<T>(
  { only, signal }: PaperOptions,
  work: () => Promise<T>,
  notes: string[],
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (only === 'sizing' || signal.aborted) throw signal.aborted ? signal.reason : error
    notes.push(`No sizing table: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

/** Without the proxies that are not installed, and the connections that this process may not open. */
function possible(plan: SizingPlan, machine: Machine, notes: string[]): SizingPlan {
  if (machine.cores < 2) throw new Error('two cores are needed: one for the proxy, one for the load')
  if (machine.nginx === 'absent') throw new Error('nginx is not installed: it is the backend')
  const arms = plan.arms.filter((arm) => arm !== 'haproxy' || machine.haproxy !== 'absent')
  if (arms.length < plan.arms.length) notes.push('HAProxy is not installed: left out.')
  const most = descriptorLimit() - 1000
  const connections = plan.connections.filter((count) => count <= most)
  if (connections.length < plan.connections.length)
    notes.push(`Open files are limited (ulimit -Hn): no more than ${connections.at(-1) ?? 0} connections.`)
  if (connections.length === 0) throw new Error('the limit of open files (ulimit -Hn) is too low')
  return { ...plan, arms, connections }
}

/** File name → content. */
export function paperFiles(results: PaperResults): Record<string, string> {
  const { hashing, sizing } = results
  return {
    'paper.json': `${JSON.stringify(results, null, 1)}\n`,
    'paper.md': markdown(results),
    ...(hashing ? { 'paper-maglev.svg': hashingChart(hashing) } : {}),
    ...(sizing ? { 'paper-sizing.svg': sizingChart(sizing) } : {}),
  }
}

function markdown({ machine, startedAt, quick, seed, hashing, sizing, notes }: PaperResults): string {
  const tables = (list: ReturnType<typeof hashingTables>) => list.map((table) => `#${asMarkdown(table)}\n`)
  return [
    '# Paper tables',
    '',
    `\`millrace bench paper${quick ? ' --quick' : ''} --seed ${seed}\`, ${startedAt}, commit ${machine.commit}. ${machine.cpu}, ${machine.cores} ` +
      `cores, Linux ${machine.kernel}, Node ${machine.node}, nginx ${machine.nginx}, HAProxy ${machine.haproxy}. Load average at the ` +
      `start: ${machine.loadAtStart.toFixed(2)}. In parentheses: smallest and largest.`,
    '',
    ...notes.map((note) => `> ${note}\n`),
    ...(hashing
      ? [
          ...hashingWords(hashing),
          '![Balance and disruption](paper-maglev.svg)',
          '',
          ...tables(hashingTables(hashing)),
        ]
      : []),
    ...(sizing
      ? [...sizingWords(sizing), '![Sizing](paper-sizing.svg)', '', ...tables(sizingTables(sizing))]
      : []),
  ].join('\n')
}

/** @returns what the terminal shows */
export function writePaper(results: PaperResults, directory: string): string {
  mkdirSync(directory, { recursive: true })
  const files = paperFiles(results)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content)
  const { hashing, sizing, notes, seed } = results
  return [
    ...(hashing ? hashingTables(hashing).map(asText) : []),
    ...(sizing ? sizingTables(sizing).map(asText) : []),
    ...notes.map((note) => `! ${note}`),
    `\nseed ${seed}; written to ${directory}: ${Object.keys(files).join(', ')}`,
  ].join('\n')
}
