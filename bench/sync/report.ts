/** Tables, picture and words about ways of syncing. */
import { type BarGroup, barChart } from '../report/bar-chart.ts'
import { number, type Table } from '../report/rows.ts'
import type { SyncResults } from './results.ts'

const seconds = (ms: number): string => `${ms / 1000} s`
const orNone = (value: number | undefined): string => (value === undefined ? '–' : number(value))

export function syncTables({ spreads, faults, backends, silentMs, faultReconcileMs }: SyncResults): Table[] {
  const spreading = spreads.map((spread) => [
    spread.approach,
    String(spread.engines),
    String(spread.changes),
    number(spread.each.p50),
    number(spread.each.p99),
    number(spread.last.p50),
    number(spread.last.p99),
    number(spread.hints),
    number(spread.reads),
    number(spread.idleReads),
  ])
  const faulty = faults.map((one) => [
    one.approach,
    String(one.engines),
    orNone(one.silent),
    orNone(one.lost),
    orNone(one.restart),
  ])
  const tables: Table[] = [
    {
      title: `A change of ${backends} backends, milliseconds from the write`,
      head: [
        ...['sync', 'engines', 'changes', 'each p50', 'each p99', 'last p50', 'last p99'],
        ...['hints per engine', 'reads per engine', 'idle reads/s, all'],
      ],
      rows: spreading,
    },
    {
      title: `Faults: milliseconds until the last engine had the change (reconcile ${seconds(faultReconcileMs)})`,
      head: ['sync', 'engines', `silent for ${seconds(silentMs)}`, 'hints lost', 'store killed, back'],
      rows: faulty,
    },
  ]
  return tables.filter(({ rows }) => rows.length > 0)
}

export function syncWords({ pollMs, reconcileMs, faultReconcileMs }: SyncResults): string[] {
  return [
    `Engines poll every ${seconds(pollMs)} while their bus is down, and ask the store every ${seconds(reconcileMs)} while it is up (±25 %); ` +
      `under faults every ${seconds(faultReconcileMs)}. All engines run in one process, each with its own connections; times run from the ` +
      'call that writes a change. *Each* counts every engine and change, *last* the slowest engine of each change. What a node does with a config besides (threads, disk) is not in it.',
    '',
    '*Silent*: the connection that carries the hints passes nothing and does not end, as behind a dead cable. *Hints lost*: each ' +
      'engine loses the one hint of the change. *Store killed*: SIGKILL, started again; counted from its first answer.',
    '',
  ]
}

/** Bars of the largest group: until the last engine has a change. */
export function syncChart({ spreads, backends }: SyncResults): string {
  const most = Math.max(...spreads.map(({ engines }) => engines))
  const largest = spreads.filter(({ engines }) => engines === most)
  const isPolling = (approach: string): boolean => approach.startsWith('poll ')
  const group = (title: string, polling: boolean): BarGroup => ({
    title,
    bars: largest
      .filter(({ approach }) => isPolling(approach) === polling)
      .map(({ approach, last, changes }) => ({
        label: approach,
        value: { median: last.p50, min: last.p50, max: last.p99, count: changes },
        ours: !polling,
      })),
  })
  const groups = [group('told of it, ms', false), group('asking for it, ms', true)]
  return barChart(
    `Until the last of ${most} LB servers has a change`,
    `Median and 99th percentile over changes of a config of ${backends} backends. Each group has its own scale.`,
    groups.filter(({ bars }) => bars.length > 0),
  )
}
