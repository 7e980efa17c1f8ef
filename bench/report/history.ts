/** Several runs, the oldest first: what became of each figure. Of one machine, or it says more about the machines. */
import type { BenchResults } from './bench-results.ts'
import { armsIn, metricSpread, metricsOf } from './derive.ts'
import type { Table } from './rows.ts'
import { armTitleIn, figure } from './words.ts'

/** A table for each metric of each scenario: a row a run, a column an arm. */
export function historyTables(runs: readonly BenchResults[]): Table[] {
  const sorted = runs.toSorted((a, b) => a.startedAt.localeCompare(b.startedAt))
  const scenarios = uniqueBy(
    sorted.flatMap((run) => run.scenarios),
    ({ name }) => name,
  )
  return scenarios.flatMap((scenario) => {
    const metrics = uniqueBy(
      sorted.flatMap((run) => metricsOf(run, scenario.name)),
      ({ name }) => name,
    )
    const arms = new Map(
      sorted.flatMap((run) => armsIn(run, scenario.name).map((arm) => [arm, armTitleIn(run, arm)] as const)),
    )
    return metrics.map((metric) => ({
      title: `${scenario.title}: ${metric.title}, ${metric.unit}`,
      head: ['started', 'commit', ...arms.values()],
      rows: sorted.map((run) => [
        run.startedAt.slice(0, 16).replace('T', ' '),
        run.machine.commit,
        ...[...arms.keys()].map((arm) => {
          const value = metricSpread(run, scenario.name, arm, metric.name)
          return value === undefined ? '–' : figure(value.median)
        }),
      ]),
    }))
  })
}

/** What two machines measured cannot be compared: says so where there are several. */
export function machinesNote(runs: readonly BenchResults[]): string | undefined {
  const machines = new Set(runs.map(({ machine }) => `${machine.cpu}, ${machine.cores} cores`))
  return machines.size > 1 ? `measured on ${machines.size} machines: ${[...machines].join('; ')}` : undefined
}

function uniqueBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()]
}
