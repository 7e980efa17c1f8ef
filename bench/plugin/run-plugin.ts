/** `millrace bench plugin`: what one plugin costs, hook by hook and in a request. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Arm } from '../arms/arm.ts'
import { pluginArm } from '../arms/core.ts'
import { repository } from '../arms/millrace.ts'
import { OtherStatusError } from '../arms/ready.ts'
import { runSuite } from '../harness/run-suite.ts'
import { hookPlan, type Plan } from '../micro/measure.ts'
import type { BenchResults } from '../report/bench-results.ts'
import { asMarkdown, asText } from '../report/tables.ts'
import { writeResults } from '../report/write-results.ts'
import { describeMachine, type Machine } from '../stats/machine.ts'
import type { Suite } from '../suites.ts'
import { askOnce } from './first-request.ts'
import { type HookResults, measureHooks } from './measure-hooks.ts'
import { pluginSuite } from './suite.ts'
import { findTarget, type PluginTarget, type TargetRequest } from './target.ts'
import { type Added, addedCpu, core, hookSentences, hookTable, type Judgement, otherStatus } from './words.ts'

export interface PluginRun extends TargetRequest {
  readonly quick: boolean
  /** Instead of those that `quick` stands for: of the hooks, and what of the suite is otherwise. */
  readonly plans?: { readonly hooks: Plan; readonly suite: Partial<Suite> }
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

/**
 * What the hooks cost is told and written also where requests cannot be measured.
 *
 * @throws MillraceError for what cannot be measured: a bad path, no plugin, bad options
 */
export async function benchPlugin(run: PluginRun): Promise<Judgement> {
  const startedAt = new Date().toISOString()
  const { say, seed, signal } = run
  const target = await findTarget(run)
  const { name, kind, written, requests } = target
  const sent = Object.keys(requests.headers)
  const given = sent.length > 0 ? `, ${sent.join(', ')} in each request` : ''
  say(
    `${name}, ${kind}, options ${JSON.stringify(written)}${given}: its hooks by themselves, then in requests`,
  )
  const arm = await armOf(target, run)
  const { headers } = requests
  const hindrance = await askOnce({ arm, headers, seed, signal }).then(
    () => undefined,
    (error: unknown) => hindranceOf(target, error),
  )
  signal.throwIfAborted()
  if (hindrance !== undefined) say(`${hindrance.sentence}\n`)
  const hooks = await measureHooks(target, run.plans?.hooks ?? hookPlan(run.quick), signal)
  const table = hookTable(hooks)
  if (table.rows.length > 0) say(asText(table))
  const sentences = hookSentences(target, hooks)
  say(`\n${sentences.join('\n')}\n`)
  const directory = run.out ?? join('bench-results', `plugin-${name}`)
  const measured: Measured = hindrance ? { added: hindrance } : await inRequests(target, arm, run)
  const { added, results } = measured
  if (results !== undefined) say(writeResults(results, directory))
  const machine = results?.machine ?? describeMachine(repository)
  const isWhole = results !== undefined
  writePlugin(directory, { run, startedAt, machine, target, hooks, added, sentences, isWhole })
  say(`\n${added.sentence}`)
  return added.judgement
}

const armOf = (
  { specifier, written, name, requests }: PluginTarget,
  { directory }: PluginRun,
): Promise<Arm> =>
  pluginArm(specifier, written, { directory, name: `${core}+${name}`, expect: requests.expect })

/** What keeps requests from being measured. */
function hindranceOf(target: PluginTarget, error: unknown): Added {
  if (error instanceof OtherStatusError) return otherStatus(target, error)
  const why = error instanceof Error ? error.message : String(error)
  return { judgement: 'unusable', sentence: `not measured in requests: ${why}` }
}

interface Measured {
  readonly added: Added
  /** Absent: requests could not be measured. */
  readonly results?: BenchResults
}

async function inRequests(target: PluginTarget, arm: Arm, run: PluginRun): Promise<Measured> {
  const { seed, confidence, signal, say } = run
  const planned = pluginSuite([core, arm.name], run.quick, target.requests.headers)
  const suite = { ...planned, ...run.plans?.suite, rounds: run.rounds ?? planned.rounds }
  // Whatever is certain is told, however small: a plugin's author asks what it costs.
  const change = (metric: string): number | undefined => (metric === 'cpu' ? 0 : undefined)
  try {
    const results = await runSuite({
      suite,
      arms: [arm],
      baseline: core,
      change,
      seed,
      confidence,
      signal,
      say,
    })
    return { added: addedCpu(target, arm.name, results), results }
  } catch (error) {
    signal.throwIfAborted()
    return { added: hindranceOf(target, error) }
  }
}

interface Found {
  readonly run: PluginRun
  readonly startedAt: string
  readonly machine: Machine
  readonly target: PluginTarget
  readonly hooks: HookResults
  readonly added: Added
  readonly sentences: readonly string[]
  /** There are files of requests too. */
  readonly isWhole: boolean
}

/** plugin.json and plugin.md, beside the files of the run. */
function writePlugin(directory: string, found: Found): void {
  const { run, startedAt, machine, target, hooks, added, sentences, isWhole } = found
  const { seed, confidence } = run
  const about = { schema: pluginSchema, startedAt, machine, seed, confidence }
  const told = { ...about, target: withoutValues(target), hooks, added }
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'plugin.json'), `${JSON.stringify(told, null, 1)}\n`)
  const table = hookTable(hooks)
  const parts = [
    `# ${target.name}, ${target.kind}`,
    `**${added.sentence}**`,
    ...(table.rows.length > 0 ? [asMarkdown(table)] : []),
    ...sentences.map((sentence) => `- ${sentence}`),
    `${startedAt}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, seed ${seed}.` +
      (isWhole ? ' Blocks: summary.md, report.html.' : ''),
  ]
  writeFileSync(join(directory, 'plugin.md'), `${parts.join('\n\n')}\n`)
}

/** Headers may hold secrets, and results are passed on. */
function withoutValues(target: PluginTarget): object {
  const { headers, ...requests } = target.requests
  return { ...target, requests: { ...requests, headers: Object.keys(headers) } }
}
