/** What a run of micro-benchmarks found, and how it is shown. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { maxBytes } from '../../test/conformance/allocation.ts'
import type { Table } from '../report/rows.ts'
import { asMarkdown } from '../report/tables.ts'
import type { Machine } from '../stats/machine.ts'
import { type Group, groups, type MicroCase, titleOf } from './case.ts'
import type { Measured } from './measure.ts'

/** Raised when a reader of older files would misunderstand. */
export const microSchema = 1

export interface MicroRow extends Measured {
  readonly group: Group
  readonly subject: string
  readonly name: string
  readonly size: number | undefined
  readonly unit: string | undefined
  readonly targetNs: number | undefined
  readonly title: string
}

/** micro.json. Times in nanoseconds. */
export interface MicroResults {
  readonly schema: typeof microSchema
  /** ISO 8601. */
  readonly startedAt: string
  /** A quick run has few samples of code that was hardly warmed up. */
  readonly quick: boolean
  readonly machine: Machine
  readonly rows: readonly MicroRow[]
}

export function rowOf(one: MicroCase, measured: Measured): MicroRow {
  const { group, subject, name, size, targetNs } = one
  const unit = size === undefined ? undefined : (one.unit ?? 'backends')
  return { group, subject, name, size, unit, targetNs, title: titleOf(one), ...measured }
}

const titles: Readonly<Record<Group, string>> = {
  algorithms: 'Algorithms: a pick',
  breakers: 'Circuit breakers: a permit and its settlement',
  filters: 'Filters: a hook on a browser-sized head',
  heads: 'Heads',
  snapshots: 'Snapshots and tables',
}

/** Three figures and a unit. */
export function time(ns: number): string {
  const [value, unit] = ns < 1000 ? [ns, 'ns'] : ns < 1e6 ? [ns / 1000, 'µs'] : [ns / 1e6, 'ms']
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`
}

/** None is what the conformance kit takes for none. */
export function bytesText(bytes: number): string {
  if (bytes < maxBytes) return '0 B'
  if (bytes < 10_000) return `${Math.round(bytes)} B`
  return bytes < 1e6 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

/** A table for each group that was measured. */
export function microTables({ rows }: MicroResults): Table[] {
  const head = ['case', 'per call', 'quartiles', 'allocated', 'target']
  return groups.flatMap((group) => {
    const own = rows.filter((row) => row.group === group)
    if (own.length === 0) return []
    const cells = own.map(({ title, ns, q1, q3, bytes, targetNs }) => [
      title,
      time(ns),
      `${time(q1)} – ${time(q3)}`,
      bytesText(bytes),
      targetNs === undefined ? '' : `${time(targetNs)}${ns > targetNs ? ', missed' : ''}`,
    ])
    return [{ title: titles[group], head, rows: cells }]
  })
}

/** Writes micro.json and micro.md. */
export function writeMicro(results: MicroResults, directory: string): void {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'micro.json'), `${JSON.stringify(results, null, 1)}\n`)
  writeFileSync(join(directory, 'micro.md'), markdown(results))
}

function markdown(results: MicroResults): string {
  const { machine, startedAt, quick } = results
  return [
    '# Micro-benchmarks',
    '',
    `${startedAt}, commit ${machine.commit}${quick ? ', a quick run' : ''}. ${machine.cpu}, ${machine.cores} cores, ` +
      `Linux ${machine.kernel}, Node ${machine.node}. Load average at the start: ${machine.loadAtStart.toFixed(2)}.`,
    '',
    'Median and quartiles of samples of many calls; bytes on the heap and in array buffers. Every subject has a thread of its own.',
    '',
    ...microTables(results).map((table) => `${asMarkdown(table)}\n`),
  ].join('\n')
}
