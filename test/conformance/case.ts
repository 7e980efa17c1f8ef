/** What a test of the kit is, and what the author gives for it. */
import type { PluginDefinition, PluginKind } from '../../core/contracts/index.ts'
import type { AlgorithmFixture } from './algorithm.ts'
import type { BreakerFixture } from './breaker-threads.ts'
import type { DetectorFixture } from './failure-detector.ts'
import type { FilterFixture } from './filter.ts'
import type { HealthFixture } from './health-source.ts'
import type { LockFixture } from './rivals.ts'
import type { Stage } from './stage.ts'
import type { StoreFixture } from './store-clients.ts'
import type { SyncFixture } from './sync-fleet.ts'

/** What the kit cannot know of a plugin, by kind. Everything in it has a default. */
export interface Fixtures {
  algorithm: AlgorithmFixture
  'circuit-breaker': BreakerFixture
  filter: FilterFixture
  'health-source': HealthFixture
  'config-store': StoreFixture
  'config-sync': SyncFixture
  election: object
  lock: LockFixture
  'failure-detector': DetectorFixture
  provisioner: object
  'metrics-source': object
  'dns-publisher': object
  vip: object
}

export interface Subject<K extends PluginKind> {
  readonly plugin: PluginDefinition<K>
  /** Raw, as in the config without slot keys. */
  readonly options: unknown
  readonly fixture: Partial<Fixtures[K]>
}

/** One test. What it makes on its stage is stopped afterwards, pass or fail. */
export interface Case<K extends PluginKind> {
  readonly name: string
  readonly timeoutMs?: number
  run(stage: Stage<K>): void | Promise<void>
}
