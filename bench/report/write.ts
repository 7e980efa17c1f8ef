import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { armTitle } from '../arms/catalog.ts'
import { workloads } from '../load/throughput.ts'
import { spread } from '../stats/summary.ts'
import { type BarGroup, barChart } from './bar-chart.ts'
import { byRound } from './checks.ts'
import type { Results } from './results.ts'
import { allTables, asMarkdown } from './tables.ts'

/** Writes results.json, results.md and, when there was a throughput part, cpu.svg. Safe to repeat as results grow. */
export function writeReport(results: Results, directory: string): void {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'results.json'), `${JSON.stringify(results, null, 1)}\n`)
  const groups = chartGroups(results)
  if (groups.length > 0) {
    const note = `median of ${results.rounds} rounds, whiskers smallest–largest; one core each; shorter is better`
    writeFileSync(join(directory, 'cpu.svg'), barChart('CPU per request, µs', note, groups))
  }
  writeFileSync(join(directory, 'results.md'), markdown(results, groups.length > 0))
}

function markdown(results: Results, picture: boolean): string {
  const { machine } = results
  return [
    '# Core speed',
    '',
    `${results.startedAt}, commit ${machine.commit}: ${results.rounds} interleaved rounds of ${results.seconds} s, order from seed ` +
      `${results.seed}. ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, ` +
      `nginx ${machine.nginx}, HAProxy ${machine.haproxy}. Load average at the start: ${machine.loadAtStart.toFixed(2)}.`,
    '',
    'Each arm is one process tree pinned to core 0; wrk and an nginx backend share core 1. CPU is the time of all threads of the ' +
      'tree by the scheduler’s clock, divided by completed requests. `busy` and `foreign` are the shares of the arm’s core that ' +
      'the arm and others used. Figures in parentheses are the smallest and the largest round; ratios are taken within a round.',
    '',
    ...results.notes.map((note) => `> ${note}\n`),
    ...(picture ? ['![CPU per request](cpu.svg)', ''] : []),
    ...allTables(results).map((table) => `${asMarkdown(table)}\n`),
  ].join('\n')
}

function chartGroups(results: Results): BarGroup[] {
  return workloads.flatMap(({ part, title }) => {
    const names = [
      ...new Set(results.samples.filter((sample) => sample.part === part).map((sample) => sample.arm)),
    ]
    const bars = names.flatMap((name) => {
      const value = spread([...byRound(results, part, name).values()])
      return value === undefined ? [] : [{ label: armTitle(name), value, ours: name.startsWith('millrace') }]
    })
    return bars.length === 0 ? [] : [{ title, bars: bars.sort((a, b) => a.value.median - b.value.median) }]
  })
}
