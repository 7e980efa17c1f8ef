import { armTitle } from '../arms/catalog.ts'
import { ratiosByRound, type Spread, spread } from '../stats/summary.ts'
import type { Results } from './results.ts'

export type Verdict = 'target met' | 'gate met' | 'target missed' | 'GATE FAILED' | 'no data'

/** One promise about the proxy, and how this run stands to it. */
export interface Check {
  readonly part: string
  readonly what: string
  readonly unit: string
  readonly measured: Spread | undefined
  /** Above it the work is not done. */
  readonly gate: number | undefined
  /** What we want. */
  readonly target: number | undefined
  readonly verdict: Verdict
}

interface Promised {
  readonly part: string
  readonly arm: string
  readonly baseline: string
  readonly gate?: number
  readonly target?: number
}

/** CPU per request of `arm` over that of `baseline`, in the same round; docs/decisions/0008 says why these. */
const promises: readonly Promised[] = [
  { part: '64b', arm: 'millrace', baseline: 'nginx', gate: 1.3, target: 1.1 },
  { part: '64b', arm: 'millrace', baseline: 'nginx-same-lines', target: 1.1 },
  { part: '64b', arm: 'millrace', baseline: 'passthrough', gate: 0.6 },
  { part: '64b', arm: 'millrace', baseline: 'http-proxy', gate: 0.15 },
  { part: 'pipelined', arm: 'millrace-pipelined', baseline: 'nginx', gate: 1.1, target: 0.9 },
  { part: '64k', arm: 'millrace', baseline: 'nginx-shipped', gate: 1 },
  { part: '64k', arm: 'millrace', baseline: 'nginx', gate: 1 },
  { part: '64k', arm: 'millrace', baseline: 'haproxy', target: 1 },
  { part: '1m', arm: 'millrace', baseline: 'nginx-shipped', gate: 1 },
  { part: '1m', arm: 'millrace', baseline: 'nginx', gate: 1 },
  { part: '1m', arm: 'millrace', baseline: 'haproxy', target: 1 },
]

const idleGateKiB = 10

export function evaluate(results: Results): Check[] {
  const checks: Check[] = []
  for (const { part, arm, baseline, gate, target } of promises) {
    const of = (name: string) => byRound(results, part, name)
    if (of(arm).size === 0 && of(baseline).size === 0) continue
    const measured = spread(ratiosByRound(of(arm), of(baseline)))
    const what = `CPU per request, ${armTitle(arm)} / ${armTitle(baseline)}`
    checks.push({ part, what, unit: '×', measured, gate, target, verdict: verdict(measured, gate, target) })
  }
  const idle = results.idle.filter((sample) => sample.arm === 'millrace')
  if (results.idle.length > 0) {
    const measured = spread(idle.map((sample) => sample.bytesPerConnection / 1024))
    const what = `RSS per idle connection (${results.idle[0].connections} of them)`
    checks.push({
      part: 'idle',
      what,
      unit: ' KiB',
      measured,
      gate: idleGateKiB,
      target: undefined,
      verdict: verdict(measured, idleGateKiB, undefined),
    })
  }
  return checks
}

/** Round → CPU µs per request. A sample with errors counts for nothing. */
export function byRound(results: Results, part: string, arm: string): Map<number, number> {
  const samples = results.samples.filter((s) => s.part === part && s.arm === arm && s.errors === 0)
  return new Map(samples.map((sample) => [sample.round, sample.cpuMicros]))
}

export function verdict(
  measured: Spread | undefined,
  gate: number | undefined,
  target: number | undefined,
): Verdict {
  if (measured === undefined) return 'no data'
  if (gate !== undefined && measured.median > gate) return 'GATE FAILED'
  if (target === undefined) return 'gate met'
  if (measured.median <= target) return 'target met'
  return gate === undefined ? 'target missed' : 'gate met'
}
