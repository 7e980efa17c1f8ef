/** Did this change make it worse? Two revisions, their blocks interleaved; what looks worse is measured again. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { revisionArm } from '../arms/revision.ts'
import type { ArmComparison, BenchResults } from '../report/bench-results.ts'
import type { UsedCalibration } from '../report/calibration-file.ts'
import { fewestBlocks } from '../stats/bootstrap.ts'
import { compareSuite, type Suite } from '../suites.ts'
import { comparedSubject, type SubjectOptions } from './compared.ts'
import { poolResults } from './pool-results.ts'
import { type Checkout, checkOut, removeCheckouts } from './revisions.ts'
import { runSuite } from './run-suite.ts'

export interface CompareRevisions extends SubjectOptions {
  readonly base: string
  readonly head: string
  readonly seed: number
  readonly confidence: number
  readonly suite?: Suite
  /** Of this machine; the starting thresholds when left out. */
  readonly calibration?: UsedCalibration
  readonly signal: AbortSignal
  say(text: string): void
}

/** fine: no metric is worse, and the CPU per request is known well enough to say so. */
export type Judgement = 'fine' | 'regression' | 'too noisy'

export interface Compared {
  readonly results: BenchResults
  /** Of the second measurement; absent when the first one showed nothing. */
  readonly rerun: BenchResults | undefined
  readonly judgement: Judgement
  /** Worse in both measurements. */
  readonly worse: readonly ArmComparison[]
}

export async function compareRevisions(options: CompareRevisions): Promise<Compared> {
  const subject = comparedSubject(options)
  const { repository } = subject
  const parent = mkdtempSync(join(tmpdir(), 'millrace-revisions-'))
  const checkouts: Checkout[] = []
  try {
    const base = checkOut(subject, options.base, parent)
    checkouts.push(base)
    const head = checkOut(subject, options.head, parent)
    checkouts.push(head)
    const arms = [subject.parts('base', base), subject.parts('head', head)].map(revisionArm)
    const { suite = compareSuite, seed, confidence, signal, calibration, say } = options
    const threshold = calibration?.threshold
    const common = { arms, baseline: 'base', confidence, threshold, signal, say }
    const run = async (add: number, scenarios = suite.scenarios): Promise<BenchResults> => {
      const results = await runSuite({ ...common, suite: { ...suite, scenarios }, seed: seed + add })
      return calibration ? { ...results, notes: [...results.notes, calibration.note] } : results
    }
    let results = await run(0)
    const unclear = unmeasured(results)
    if (worseOnes(results).length === 0 && unclear.length > 0) {
      say(`not known well enough: CPU per request in ${unclear.join(', ')}; as many blocks once more`)
      const more = suite.scenarios.filter(({ name }) => unclear.includes(name))
      // More blocks because the interval is wide, whatever it holds: that leaves its confidence as it is.
      const pooled = poolResults(results, await run(1, more), { baseline: 'base', threshold })
      results = {
        ...pooled,
        notes: [...pooled.notes, `Measured twice and counted together: ${unclear.join(', ')}.`],
      }
    }
    if (worseOnes(results).length === 0)
      return { results, rerun: undefined, judgement: verdict(results), worse: [] }
    say('worse at first sight: measured once more')
    const rerun = await run(2)
    return { results, rerun, ...judge(results, rerun) }
  } finally {
    removeCheckouts(repository, checkouts)
    rmSync(parent, { recursive: true, force: true })
  }
}

const worseOnes = (results: BenchResults): ArmComparison[] =>
  results.comparisons.filter(({ outcome }) => outcome === 'worse')

/** A regression is what is worse both times; what is worse once is noise, unless the CPU stays unclear. */
export function judge(
  results: BenchResults,
  rerun: BenchResults,
): { judgement: Judgement; worse: readonly ArmComparison[] } {
  const again = worseOnes(rerun)
  const worse = worseOnes(results).filter((one) =>
    again.some((other) => other.scenario === one.scenario && other.metric === one.metric),
  )
  if (worse.length > 0) return { judgement: 'regression', worse }
  return { judgement: verdict(rerun), worse }
}

const verdict = (results: BenchResults): Judgement => (unmeasured(results).length > 0 ? 'too noisy' : 'fine')

/** Scenarios whose CPU per request could be worse by more than its threshold without being seen. */
function unmeasured(results: BenchResults): string[] {
  const tooFew = fewestBlocks(results.confidence)
  const isKnown = (scenario: string): boolean =>
    results.comparisons.some(
      ({ metric, relative, threshold, ...one }) =>
        one.scenario === scenario &&
        metric === 'cpu' &&
        relative.count >= tooFew &&
        relative.high <= threshold,
    )
  return results.scenarios.map(({ name }) => name).filter((name) => !isKnown(name))
}
