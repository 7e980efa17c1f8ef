import { workloads } from '../load/throughput.ts'
import { evaluate } from './checks.ts'
import type { Results } from './results.ts'
import { idleTable, number, type Table, throughputTable, withRange } from './rows.ts'
import { soakFaults, soakTable } from './soak-report.ts'

/** Every table of a run; parts that were not measured are left out. */
export function allTables(results: Results): Table[] {
  const tables: Table[] = []
  const measured = new Set(results.samples.map((sample) => sample.part))
  for (const { part, title } of workloads) {
    if (measured.has(part)) tables.push(throughputTable(results, part, title))
  }
  if (measured.has('threads')) {
    tables.push(
      throughputTable(results, 'threads', 'One and two data threads, all on the same two cores as the load'),
    )
  }
  if (results.idle.length > 0) tables.push(idleTable(results))
  if (results.soak !== undefined) tables.push(soakTable(results.soak))
  const checks = checkTable(results)
  if (checks.rows.length > 0) tables.push(checks)
  return tables
}

function checkTable(results: Results): Table {
  const limit = (value: number | undefined, unit: string) =>
    value === undefined ? '' : `${number(value)}${unit}`
  const rows = evaluate(results).map((check) => [
    check.part,
    check.what,
    withRange(check.measured),
    limit(check.gate, check.unit),
    limit(check.target, check.unit),
    check.verdict,
  ])
  if (results.soak !== undefined) {
    const faults = soakFaults(results.soak)
    const text = faults.length === 0 ? 'nothing' : faults.slice(0, 3).join('; ')
    rows.push([
      'soak',
      'what grows, fails or stays',
      text,
      'nothing',
      '',
      faults.length === 0 ? 'gate met' : 'GATE FAILED',
    ])
  }
  return { title: 'Gates and targets', head: ['part', 'what', 'measured', 'gate', 'target', 'verdict'], rows }
}

/** For the terminal: columns padded, first column left, figures right. */
export function asText({ title, head, rows }: Table): string {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column].length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  ')
  const rule = widths.map((width) => '─'.repeat(width)).join('  ')
  return [`\n${title}`, line(head), rule, ...rows.map(line)].join('\n')
}

export function asMarkdown({ title, head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'))
  return [`## ${title}`, '', line(head), line(rule), ...rows.map(line)].join('\n')
}
