/** Knees, rates and gates as a reader sees them; the same in HTML, Markdown and the terminal. */
import type { Estimate } from '../stats/bootstrap.ts'
import { type GateVerdict, gateFactor, gateSlackMs, targetFactor } from '../stats/gate.ts'
import { kneeLadder } from '../stats/knee.ts'
import type { ResolvedRate } from '../stats/rates.ts'
import type { BenchResults } from './bench-results.ts'
import type { ResultTable } from './result-tables.ts'
import { armTitleIn, counted, figure, percent } from './words.ts'

/** `50 % of the knee of haproxy, 12,345/s` */
export function rateInWords({ share, arm, kneePerSecond, ofRig, lowered }: ResolvedRate): string {
  const rig = ofRig ? ', which is that of load generator and backend' : ''
  const less = lowered === undefined ? '' : ', lowered to what the load generator can give'
  return `${percent(share)} of the knee of ${arm}, ${figure(kneePerSecond)}/s${rig}${less}`
}

/** Without rows when no rate was taken from a knee. */
export function kneesTable(results: BenchResults): ResultTable {
  const rows = (results.knees ?? []).map((knee) => {
    const at = kneeLadder.map((connections) => {
      const step = knee.steps.find((one) => one.connections === connections)
      return step === undefined ? '–' : figure(step.requestsPerSecond)
    })
    const { saturationPerSecond, kneePerSecond, kneeConnections } = knee
    const found = [figure(saturationPerSecond), figure(kneePerSecond), String(kneeConnections)]
    return { cells: [armTitleIn(results, knee.arm), `${knee.backendDelayMs} ms`, ...at, ...found] }
  })
  const figures = (title: string) => ({ title, isFigure: true })
  const columns = [
    { title: 'Arm', isFigure: false },
    figures('Backend'),
    ...kneeLadder.map((connections) => figures(`Requests/s at ${counted(connections, 'connection')}`)),
    figures('Saturation'),
    figures('Knee'),
    figures('at connections'),
  ]
  return { title: 'Closed loop: saturation and knee', columns, rows }
}

const outcomes = { met: 'Gate met', missed: 'Gate missed', unclear: 'Too noisy to judge the gate' } as const

/** Nothing when the suite has no gate or it could not be judged. */
export function gateLines(results: BenchResults): string[] {
  return results.gate === undefined ? [] : gateInWords(results, results.gate)
}

function gateInWords(results: BenchResults, gate: GateVerdict): string[] {
  const { outcome, added, addedByOther, limitMs, beyond, targetMet } = gate
  const [arm, other] = [armTitleIn(results, gate.arm), armTitleIn(results, gate.against)]
  const rate = results.scenarios.find(({ name }) => name === gate.scenario)?.ratePerSecond
  const where = rate === undefined ? '' : ` at ${figure(rate)} requests/s`
  const rule = `the larger of ${gateFactor} times that and ${gateSlackMs} ms more`
  const target = figure(targetFactor * addedByOther.median)
  return [
    `${outcomes[outcome]}: ${arm} adds ${withInterval(added)} to the backend's 99th percentile${where}, ${other} ` +
      `${withInterval(addedByOther)}.`,
    `At most ${figure(limitMs)} ms may be added (${rule}); ${distance(beyond)}. The target of ${targetFactor} times, ` +
      `${target} ms, is ${targetMet ? 'met' : 'missed'}. ${counted(beyond.count, 'round')} count, intervals of ` +
      `${percent(results.confidence)}.`,
  ]
}

const withInterval = ({ median, low, high }: Estimate): string =>
  `${figure(median)} ms (${figure(low)} … ${figure(high)})`

function distance({ median, low, high }: Estimate): string {
  const side = median > 0 ? 'beyond that' : 'below that'
  const [near, far] = [low, high].map(Math.abs).sort((a, b) => a - b)
  // An interval around the limit has a bound on each side of it: the signs are needed.
  if (low <= 0 !== high <= 0)
    return `distance to that: ${figure(median)} ms (${figure(low)} … ${figure(high)})`
  return `${side} by ${figure(Math.abs(median))} ms (${figure(near)} … ${figure(far)})`
}
