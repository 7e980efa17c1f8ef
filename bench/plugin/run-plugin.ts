/** `millrace bench plugin`: what one plugin costs, hook by hook and in a request. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pluginArm } from '../arms/core.ts'
import { runSuite } from '../harness/run-suite.ts'
import { plans } from '../micro/measure.ts'
import type { BenchResults } from '../report/bench-results.ts'
import { asMarkdown, asText } from '../report/tables.ts'
import { writeResults } from '../report/write-results.ts'
import { type HookResults, measureHooks } from './measure-hooks.ts'
import { pluginSuite } from './suite.ts'
import { findTarget, type PluginTarget, type TargetRequest } from './target.ts'
import { type Added, addedCpu, core, hookSentences, hookTable, type Judgement } from './words.ts'

export interface PluginRun extends TargetRequest {
  readonly quick: boolean
  /** Absent: as many as tell a small cost from noise. */
  readonly rounds: number | undefined
  /** Absent: in `bench-results/plugin-<name>`. */
  readonly out: string | undefined
  readonly seed: number
  readonly confidence: number
  readonly signal: AbortSignal
  say(text: string): void
}

/** Raised when a reader of older files would misunderstand. */
export const pluginSchema = 1

/** @throws MillraceError for what cannot be measured: a bad path, no plugin, bad options */
export async function benchPlugin(run: PluginRun): Promise<Judgement> {
  const target = await findTarget(run)
  const { name, kind, specifier, written } = target
  const arm = await pluginArm(specifier, written, { directory: run.directory, name: `${core}+${name}` })
  run.say(`${name}, ${kind}, options ${JSON.stringify(written)}: its hooks by themselves, then in requests`)
  const hooks = await measureHooks(target, plans[run.quick ? 'quick' : 'full'], run.signal)
  const table = hookTable(hooks)
  if (table.rows.length > 0) run.say(asText(table))
  const sentences = hookSentences(target, hooks)
  run.say(`\n${sentences.join('\n')}\n`)
  const { seed, confidence, signal, say } = run
  const planned = pluginSuite([core, arm.name], run.quick)
  const suite = { ...planned, rounds: run.rounds ?? planned.rounds }
  const results = await runSuite({ suite, arms: [arm], baseline: core, seed, confidence, signal, say })
  const added = addedCpu(target, arm.name, results)
  const directory = run.out ?? join('bench-results', `plugin-${name}`)
  run.say(writeResults(results, directory))
  writePlugin(directory, { target, hooks, results, added, sentences })
  run.say(`\n${added.sentence}`)
  return added.judgement
}

interface Found {
  readonly target: PluginTarget
  readonly hooks: HookResults
  readonly results: BenchResults
  readonly added: Added
  readonly sentences: readonly string[]
}

/** plugin.json and plugin.md, beside the files of the run. */
function writePlugin(directory: string, { target, hooks, results, added, sentences }: Found): void {
  const { startedAt, machine, seed, confidence } = results
  const about = { schema: pluginSchema, startedAt, machine, seed, confidence }
  mkdirSync(directory, { recursive: true })
  writeFileSync(
    join(directory, 'plugin.json'),
    `${JSON.stringify({ ...about, target, hooks, added }, null, 1)}\n`,
  )
  const table = hookTable(hooks)
  const parts = [
    `# ${target.name}, ${target.kind}`,
    `**${added.sentence}**`,
    ...(table.rows.length > 0 ? [asMarkdown(table)] : []),
    ...sentences.map((sentence) => `- ${sentence}`),
    `${startedAt}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, seed ${seed}. Blocks: summary.md, report.html.`,
  ]
  writeFileSync(join(directory, 'plugin.md'), `${parts.join('\n\n')}\n`)
}
