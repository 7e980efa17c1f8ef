/** Which tests a plugin has to pass. */
import type { PluginKind } from '../../core/contracts/index.ts'
import { checkPlugin } from '../../core/host/plugin-shape.ts'
import { algorithmCases, exerciseAlgorithm } from './algorithm.ts'
import { hashCases, notHashedCases, tableCases } from './algorithm-hash.ts'
import type { Case, Subject } from './case.ts'
import { breakerCases, exerciseBreaker, openingCases } from './circuit-breaker.ts'
import { exerciseStore, storeCases } from './config-store.ts'
import { answerCases, cutCases, leaseCases, watchCases } from './config-store-leases.ts'
import { cutCase, exerciseSync, hintCases, messageCases, syncCases } from './config-sync.ts'
import { electionCases, exerciseElection } from './election.ts'
import { type Exercise, everyKindCases } from './every-kind.ts'
import { detectorCases, exerciseDetector } from './failure-detector.ts'
import { exerciseFilter, filterCases } from './filter.ts'
import { exerciseHealth, healthCases, httpCases, reachCases, setCases } from './health-source.ts'
import { exerciseLock, lockCases, lockFaultCases } from './lock.ts'

interface Kind<K extends PluginKind> {
  readonly exercise: Exercise<K>
  readonly cases: (subject: Subject<K>) => readonly Case<K>[]
}

/** Kinds whose plugins act on the outside world have no tests of their own here: what they are to do there needs the real thing. */
const outside: Kind<'provisioner' | 'metrics-source' | 'dns-publisher' | 'vip'> = {
  exercise: { use() {} },
  cases: () => [],
}

const kinds: { readonly [K in PluginKind]: Kind<K> } = {
  algorithm: {
    exercise: exerciseAlgorithm,
    cases: ({ plugin, fixture }) => [
      ...algorithmCases,
      ...(fixture.hashed ? hashCases : notHashedCases),
      ...(plugin.buildTable ? tableCases : []),
    ],
  },
  'circuit-breaker': {
    exercise: exerciseBreaker,
    cases: ({ fixture }) => [...breakerCases, ...(fixture.opens === false ? [] : openingCases)],
  },
  filter: { exercise: exerciseFilter, cases: () => filterCases },
  'health-source': {
    exercise: exerciseHealth,
    cases: ({ fixture: { learns = 'http' } }) => [
      ...healthCases,
      ...(learns === 'set' ? setCases : reachCases),
      ...(learns === 'http' ? httpCases : []),
    ],
  },
  'config-store': {
    exercise: exerciseStore,
    cases: ({ fixture: { faults = [] } }) => [
      ...storeCases,
      ...leaseCases,
      ...watchCases,
      ...(faults.includes('lose-answer') ? answerCases : []),
      ...(faults.includes('cut') ? cutCases : []),
    ],
  },
  'config-sync': {
    exercise: exerciseSync,
    cases: ({ fixture: { faults = [], hints = true } }) => [
      ...syncCases,
      ...(hints ? hintCases : []),
      ...faults.map((fault) => (fault === 'cut' ? cutCase : messageCases[fault])),
    ],
  },
  election: { exercise: exerciseElection, cases: () => electionCases },
  lock: {
    exercise: exerciseLock,
    cases: ({ fixture }) => [...lockCases, ...(fixture.start ? [] : lockFaultCases)],
  },
  'failure-detector': { exercise: exerciseDetector, cases: () => detectorCases },
  provisioner: outside,
  'metrics-source': outside,
  'dns-publisher': outside,
  vip: outside,
}

/** @throws MR_PLUGIN_SHAPE for what is no plugin, or of a kind that there is none of: nobody knows how to test it */
export function casesOf<K extends PluginKind>(subject: Subject<K>): readonly Case<K>[] {
  const given = subject.plugin as Partial<Subject<K>['plugin']> | null | undefined
  // Whatever else is wrong with its shape is told by the first of the tests.
  if (!given?.kind || !Object.hasOwn(kinds, given.kind)) checkPlugin(given, 'The plugin')
  const kind = kinds[subject.plugin.kind] as unknown as Kind<K>
  return [...everyKindCases(subject, kind.exercise), ...kind.cases(subject)]
}
