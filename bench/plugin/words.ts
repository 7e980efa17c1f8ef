/** What was found about a plugin, as its author reads it. */
import { basename } from 'node:path'
import { bytesText, time } from '../micro/results.ts'
import type { ArmComparison, BenchResults, Block } from '../report/bench-results.ts'
import type { Table } from '../report/rows.ts'
import { counted, figure, percent } from '../report/words.ts'
import { fewestBlocks } from '../stats/bootstrap.ts'
import { wholeExchange } from './filter-cases.ts'
import type { HookResults, HookRow } from './measure-hooks.ts'
import { settingsFile } from './requests.ts'
import type { PluginTarget } from './target.ts'

export const core = 'core'

/** fine: known, whatever it is. unusable: requests failed. */
export type Judgement = 'fine' | 'too noisy' | 'unusable'

export function hookTable({ rows }: HookResults): Table {
  return {
    title: 'Hooks by themselves',
    head: ['hook', 'per call', 'quartiles', 'allocated'],
    rows: rows.map(({ name, hot, measured: { ns, q1, q3, bytes } }) => [
      hot ? name : `${name} (at a change)`,
      time(ns),
      `${time(q1)} – ${time(q3)}`,
      bytesText(bytes),
    ]),
  }
}

/** One sentence each: throws, allocations, what else must be known. */
export function hookSentences(target: PluginTarget, { rows, failed, logged }: HookResults): string[] {
  const lines = failed.map(
    ({ name, message, late }) =>
      `${name} ${late ? 'was late' : 'threw'}: ${message} (on an exchange without sockets: no body can be read there)`,
  )
  for (const { name, note } of rows) if (note !== undefined) lines.push(`${name}: ${note}`)
  if (logged !== undefined)
    lines.push(`it logged ${counted(logged.count, 'warning')} meanwhile, which costs: ${logged.first}`)
  const hot = rows.filter((row) => row.hot)
  if (rows.length + failed.length === 0) lines.push(noHooks(target))
  else if (hot.length > 0) lines.push(allocationOf(hot))
  return lines
}

function noHooks({ kind, name }: PluginTarget): string {
  return kind === 'filter'
    ? `${name} has no hook with these options`
    : `a ${kind} has no hook that a request waits for: nothing to measure in nanoseconds`
}

const allocates = ({ measured }: HookRow): boolean => bytesText(measured.bytes) !== '0 B'

function allocationOf(hot: readonly HookRow[]): string {
  const own = hot.filter((row) => allocates(row) && row.name !== wholeExchange)
  if (own.length === 0) return 'no hook allocates'
  const list = own.map(({ name, measured }) => `${name} (${bytesText(measured.bytes)})`)
  return `allocates for every request: ${list.join('; ')}`
}

export interface Added {
  readonly judgement: Judgement
  readonly sentence: string
}

/**
 * The CPU that the plugin adds to a request, and whether that is noise.
 *
 * @param arm name of the arm with the plugin
 */
export function addedCpu({ kind, name, requests }: PluginTarget, arm: string, results: BenchResults): Added {
  const found = results.comparisons.find((one) => one.metric === 'cpu' && one.arm === arm)
  const own = results.blocks.filter((block) => block.arm === arm)
  const failing = own.filter(({ failed }) => failed > 0)
  if (failing.length > own.length / 2)
    return { judgement: 'unusable', sentence: `not measured: ${failuresOf(failing, requests.expect)}` }
  const least = fewestBlocks(results.confidence)
  if (found === undefined || found.difference.count < least) {
    const count = counted(found?.difference.count ?? 0, 'block')
    return {
      judgement: 'too noisy',
      sentence: `too noisy to say what it costs: ${count} of each arm count, ${least} are needed`,
    }
  }
  const beside = `(${figure(found.base)} µs without${kind === 'algorithm' ? ', with round-robin' : ''})`
  const itself =
    requests.expect === undefined ? '' : `; it answers ${requests.expect} itself, and no backend is asked`
  return {
    judgement: found.outcome === 'unclear' ? 'too noisy' : 'fine',
    sentence: `${costInWords(name, found)} ${beside}${itself}`,
  }
}

/** What the outcome says that stands in the table. */
function costInWords(
  name: string,
  { outcome, difference, threshold, base, detectable }: ArmComparison,
): string {
  const { median, low, high } = difference
  const range = `${signed(low)} … ${signed(high)} µs`
  switch (outcome) {
    case 'worse':
      return `${name} adds ${figure(median)} µs (${figure(low)}–${figure(high)}) of CPU per request: real`
    case 'better':
      return `${name} saves ${figure(-median)} µs (${figure(-high)}–${figure(-low)}) of CPU per request: real`
    case 'same':
      return `no difference in CPU per request: ${range}, all of it within ±${percent(threshold)}`
    default:
      return (
        `unclear whether ${name} costs anything: ${range} of CPU per request; ` +
        `${figure(detectable * base)} µs (${percent(detectable)}) or more would most likely have been seen`
      )
  }
}

const signed = (micros: number): string => `${micros < 0 ? '−' : '+'}${figure(Math.abs(micros))}`

function failuresOf(failing: readonly Block[], expect: number | undefined): string {
  const [{ faults }] = failing
  const counting = `answers other than ${expect ?? '2xx and 3xx'} count as failed (see --header and --expect)`
  return `requests failed with it in ${counted(failing.length, 'block')}, such as: ${faults.join('; ')}; ${counting}`
}

interface OtherStatus {
  readonly status: number
  /** First line of the body. */
  readonly text: string
  /** Of a fault, as the log of the load balancer says it. */
  readonly reason?: string
}

/** What to do where the plugin answers otherwise than was waited for. */
export function otherStatus(target: PluginTarget, { status, text, reason }: OtherStatus): Added {
  const { name, source, requests } = target
  const wanted = requests.expect ?? 200
  const said = text === '' ? '' : ` (${text})`
  const file =
    source !== 'built-in' && source.kind === 'path' ? basename(settingsFile(source.location)) : undefined
  const remedies = [
    "send what it asks for (--header 'name: value')",
    `or have that answer measured (--expect ${status})`,
    ...(file === undefined ? [] : [`either may stand in ${file} beside it`]),
  ]
  const remedy = /^MR_/.test(text) ? (reason ?? 'what its hooks do stands below') : remedies.join('; ')
  // The very status that was waited for, but nothing that it has answered.
  const not = status === wanted ? 'which is a fault, and no answer of its own' : `not with ${wanted}`
  return {
    judgement: 'unusable',
    sentence: `not measured in requests: with ${name} they are answered with ${status}${said}, ${not}; ${remedy}`,
  }
}
