import { armTitle } from '../arms/catalog.ts'
import { median, ratiosByRound, type Spread, spread } from '../stats/summary.ts'
import { byRound } from './checks.ts'
import type { Results } from './results.ts'

/** A table as text: the same rows go to the terminal and into Markdown. */
export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export function number(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en')
  if (Number.isInteger(value)) return String(value)
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

export function withRange(measured: Spread | undefined): string {
  if (measured === undefined) return '–'
  const { median: middle, min, max, count } = measured
  return count > 1 ? `${number(middle)} (${number(min)}–${number(max)})` : number(middle)
}

const percent = (share: number) => `${Math.round(share * 100)} %`

/** One row an arm: what it did, what it cost. Medians of the rounds with smallest and largest. */
export function throughputTable(results: Results, part: string, title: string): Table {
  const samples = results.samples.filter((sample) => sample.part === part)
  const names = [...new Set(samples.map((sample) => sample.arm))]
  const baseline = part === 'threads' ? 'millrace-1-thread' : 'nginx'
  const rows = names.map((name) => {
    const mine = samples.filter((sample) => sample.arm === name)
    const ratios = ratiosByRound(byRound(results, part, name), byRound(results, part, baseline))
    return [
      armTitle(name),
      withRange(spread(mine.map((sample) => sample.requestsPerSecond))),
      withRange(spread(mine.map((sample) => sample.cpuMicros))),
      percent(median(mine.map((sample) => sample.userShare))),
      withRange(spread(ratios)),
      percent(median(mine.map((sample) => sample.busy))),
      percent(median(mine.map((sample) => sample.foreign))),
      number(median(mine.map((sample) => sample.latency.p50))),
      number(median(mine.map((sample) => sample.latency.p99))),
      String(mine.reduce((sum, sample) => sum + sample.errors, 0)),
    ]
  })
  const head = ['arm', 'req/s', 'CPU µs/req', 'user', `CPU ÷ ${armTitle(baseline)}`, 'busy', 'foreign']
  return { title, head: [...head, 'p50 µs', 'p99 µs', 'errors'], rows: rows.sort(byCpu) }
}

function byCpu(a: readonly string[], b: readonly string[]): number {
  return Number.parseFloat(a[2].replace(',', '')) - Number.parseFloat(b[2].replace(',', ''))
}

export function idleTable(results: Results): Table {
  const names = [...new Set(results.idle.map((sample) => sample.arm))]
  const rows = names.map((name) => {
    const mine = results.idle.filter((sample) => sample.arm === name)
    const mebibytes = (values: number[]) => withRange(spread(values.map((value) => value / 1024 / 1024)))
    return [
      armTitle(name),
      withRange(spread(mine.map((sample) => sample.bytesPerConnection / 1024))),
      mebibytes(mine.map((sample) => sample.residentBefore)),
      mebibytes(mine.map((sample) => sample.residentAfter)),
      `${Math.min(...mine.map((sample) => sample.held))} of ${mine[0].connections}`,
    ]
  })
  return {
    title: 'Idle client connections after one request each',
    head: ['arm', 'KiB each', 'RSS before, MiB', 'RSS after, MiB', 'held'],
    rows,
  }
}
