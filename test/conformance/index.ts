/**
 * `millrace/conformance`: tests that every plugin of a kind has to pass. What we test our own plugins with.
 *
 * ```ts
 * import { test } from 'node:test' // or 'vitest'
 * import { conformance } from 'millrace/conformance'
 * import plugin from './tenant-sticky.ts'
 *
 * conformance(plugin, { test, options: { tenants: 8 }, fixture: { hashed: true } })
 * ```
 *
 * What a filter does with a request is tested with {@link exchange}.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { PluginDefinition, PluginKind } from '../../core/contracts/index.ts'
import type { Case, Fixtures, Subject } from './case.ts'
import { casesOf } from './cases.ts'
import { Stage } from './stage.ts'

export type { AlgorithmFixture } from './algorithm.ts'
export type { BreakerFixture } from './breaker-threads.ts'
export type { Fixtures } from './case.ts'
export {
  type ExchangeLine,
  type ExchangeResult,
  type ExchangeSetup,
  exchange,
} from './exchange.ts'
export type {
  AnswerFor,
  BackendAnswer,
  ExchangeHeaders,
  ExchangeRequest,
  ReceivedAnswer,
  SeenRequest,
} from './exchange-ends.ts'
export type { DetectorFixture } from './failure-detector.ts'
export type { FilterFixture } from './filter.ts'
export type { SampleRequest } from './filter-exchange.ts'
export type { HealthFixture } from './health-source.ts'
export type { LockFixture } from './rivals.ts'
export type { StoreFixture, StoreSite } from './store-clients.ts'
export type { SyncFixture, SyncSite } from './sync-fleet.ts'
export { FakeTime } from './time.ts'

/** `test` of node:test or vitest, as far as the kit uses it. */
export type TestFunction = (
  name: string,
  options: { timeout: number; skip?: boolean },
  run: () => Promise<void>,
) => unknown

/** A test that does not fit a plugin. */
export interface Skip {
  /** Its name, without the plugin's. */
  readonly test: string
  /** For whoever reads the report. */
  readonly reason: string
}

export interface ConformanceSetup<K extends PluginKind> {
  readonly test: TestFunction
  /** Options to test with, as in the config, without slot keys. Default `{}`. */
  readonly options?: unknown
  /** What the kit cannot know of the plugin. */
  readonly fixture?: Partial<Fixtures[K]>
  readonly skip?: readonly Skip[]
}

/** How long a test may take, on a busy machine. */
const usualTimeoutMs = 30_000

/**
 * Registers the tests of the plugin's kind with the runner.
 *
 * @throws MR_PLUGIN_SHAPE for what is no plugin, or of no kind; TypeError for a skip that names no test, or gives no reason: a skip that is no longer needed must not hide anything
 */
export function conformance<K extends PluginKind, S extends StandardSchemaV1>(
  plugin: PluginDefinition<K, S>,
  setup: ConformanceSetup<K>,
): void {
  const subject: Subject<K> = {
    plugin: plugin as unknown as PluginDefinition<K>,
    options: setup.options ?? {},
    fixture: setup.fixture ?? {},
  }
  const cases = casesOf(subject)
  const skipped = new Map((setup.skip ?? []).map(({ test, reason }) => [test, reason]))
  for (const [name, reason] of skipped) {
    if (!cases.some((each) => each.name === name))
      throw new TypeError(`skip: there is no test ${JSON.stringify(name)}; there are:\n${namesOf(cases)}`)
    if (reason.trim() === '') throw new TypeError(`skip: give a reason for ${JSON.stringify(name)}`)
  }
  for (const each of cases) {
    const reason = skipped.get(each.name)
    const name = `${plugin.kind} ${plugin.name}: ${each.name}${reason === undefined ? '' : ` (skipped: ${reason})`}`
    const options = {
      timeout: each.timeoutMs ?? usualTimeoutMs,
      ...(reason === undefined ? {} : { skip: true }),
    }
    setup.test(name, options, () => play(subject, each))
  }
}

/** One test on a stage of its own. */
async function play<K extends PluginKind>(subject: Subject<K>, each: Case<K>): Promise<void> {
  const stage = new Stage(subject)
  try {
    await each.run(stage)
  } catch (error) {
    // The first failure is what matters.
    await stage.close().catch(() => {})
    throw error
  }
  await stage.close()
}

function namesOf(cases: readonly { readonly name: string }[]): string {
  return cases.map(({ name }) => `  ${name}`).join('\n')
}
