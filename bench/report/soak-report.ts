import type { SoakResult, SoakSeries } from './results.ts'
import { number, type Table } from './rows.ts'

/** What must be nothing once the clients are gone. */
const emptyAfterwards = /client_connections$|in_flight|tunnel|queue/

/** What speaks against the run; empty when it held. */
export function soakFaults(soak: SoakResult): string[] {
  const growing = soak.series.filter((one) => !one.level).map(growth)
  // Without a verdict on both, nothing was shown. Only Millrace tells its heap, as it does its gauges.
  const heaps = ['heap bytes alive, main thread', 'heap bytes alive, thread']
  const asked = ['resident bytes', ...(Object.keys(soak.gaugesAfter).length > 0 ? heaps : [])]
  const unjudged = asked
    .filter((kind) => !soak.series.some(({ name }) => name.startsWith(kind)))
    .map((kind) => `${kind}: too few samples for a slope`)
  const left = Object.entries(soak.gaugesAfter)
    .filter(([name, value]) => emptyAfterwards.test(name) && value !== 0)
    .map(([name, value]) => `${name} is ${value} after the load`)
  const failed = soak.failures.length > 0 ? [`${soak.failures.length} exchanges failed`] : []
  const stayed = soak.descriptorsAfter - soak.descriptorsBefore - (soak.gaugesAfter.millrace_pool_open ?? 256)
  // A few: the connection that reads the metrics, files that a reload has open at the moment.
  const descriptors = stayed > 4 ? [`${stayed} descriptors left over`] : []
  return [...growing, ...unjudged, ...left, ...failed, ...descriptors]
}

function growth({ name, trend, allowance }: SoakSeries): string {
  if (allowance !== undefined) return `${name} grows`
  const [slope, low, high] = [trend.perMinute, trend.low, trend.high].map(number)
  return `${name} grows by ${slope} a minute (99 % interval ${low} … ${high})`
}

export function soakTable(soak: SoakResult): Table {
  const rows = soak.series.map(({ name, trend, allowance, level }) => [
    name,
    number(trend.first),
    number(trend.last),
    number(trend.perMinute),
    `${number(trend.low)} … ${number(trend.high)}`,
    allowance === undefined ? 'its interval' : number(allowance),
    level ? 'level' : 'GROWS',
  ])
  rows.push([
    'descriptors before and after',
    number(soak.descriptorsBefore),
    number(soak.descriptorsAfter),
    '',
    '',
    '',
    '',
  ])
  for (const [name, value] of Object.entries(soak.gaugesAfter)) {
    rows.push([
      `${name}, after`,
      '',
      number(value),
      '',
      '',
      '',
      emptyAfterwards.test(name) && value !== 0 ? 'LEFT' : '',
    ])
  }
  const exchanges = Object.values(soak.counts).reduce((sum, count) => sum + count, 0)
  const text = `${number(exchanges)} exchanges, ${soak.reloads} reloads, ${soak.failures.length} failed`
  return {
    title: `Soak: ${soak.minutes} min of mixed load with aborts, after as long a warm-up: ${text} (lower envelope)`,
    head: ['what', 'start', 'end', 'per minute', '99 % interval', 'allowed rise', 'verdict'],
    rows,
  }
}
