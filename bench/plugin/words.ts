/** What was found about a plugin, as its author reads it. */
import { bytesText, time } from '../micro/results.ts'
import type { BenchResults, Block } from '../report/bench-results.ts'
import type { Table } from '../report/rows.ts'
import { counted, figure, metricOf, percent } from '../report/words.ts'
import { fewestBlocks, minimumDetectable } from '../stats/bootstrap.ts'
import { wholeExchange } from './filter-cases.ts'
import type { HookResults, HookRow } from './measure-hooks.ts'
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
    ({ name, message }) =>
      `${name} threw: ${message} (on an exchange without sockets: no body can be read there)`,
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
export function addedCpu({ kind, name }: PluginTarget, arm: string, results: BenchResults): Added {
  const found = results.comparisons.find((one) => one.metric === 'cpu' && one.arm === arm)
  const own = results.blocks.filter((block) => block.arm === arm)
  const failing = own.filter(({ failed }) => failed > 0)
  if (failing.length > own.length / 2)
    return { judgement: 'unusable', sentence: `not measured: ${failuresOf(failing)}` }
  const least = fewestBlocks(results.confidence)
  if (found === undefined || found.difference.count < least) {
    const count = counted(found?.difference.count ?? 0, 'block')
    return {
      judgement: 'too noisy',
      sentence: `too noisy to say what it costs: ${count} of each arm count, ${least} are needed`,
    }
  }
  const { difference, base } = found
  const { median, low, high } = difference
  const beside = `(${figure(base)} µs without${kind === 'algorithm' ? ', with round-robin' : ''})`
  if (low > 0 || high < 0) {
    const [verb, size, from, to] = low > 0 ? ['adds', median, low, high] : ['saves', -median, -high, -low]
    const range = `${figure(size)} µs (${figure(from)}–${figure(to)})`
    const sentence = `${name} ${verb} ${range} of CPU per request: real ${beside}`
    return { judgement: 'fine', sentence }
  }
  const seen = minimumDetectable(difference.standardError, results.confidence)
  const tooCoarse = seen > base * metricOf('cpu').threshold
  return {
    judgement: tooCoarse ? 'too noisy' : 'fine',
    sentence:
      `no difference in CPU per request that this run could see: it would have seen ${figure(seen)} µs or more ${beside}` +
      (tooCoarse ? `; that is ${percent(seen / base)}, too coarse to call it nothing` : ''),
  }
}

function failuresOf(failing: readonly Block[]): string {
  const [{ faults }] = failing
  return `requests failed with it in ${counted(failing.length, 'block')}, such as: ${faults.join('; ')}`
}
