/** The public `millrace` API: all that a plugin imports. */
export { z } from 'zod'
export { type ConfigInput, defineConfig } from '../config/define.ts'
export { serviceName } from '../config/service-name.ts'
export { duration, rate, ratio, size } from '../config/units.ts'
export { type DropReason, type EnvelopeDeps, Envelopes, type Opened } from '../fleet/envelope.ts'
export { type ErrorCode, errorTable, MillraceError } from '../host/errors.ts'
export type { Algorithm, Backend, BackendView, Member, PickRequest } from './algorithm.ts'
export type { BreakerGate, BreakerState, CircuitBreaker, Outcome } from './circuit-breaker.ts'
export {
  type ConfigStore,
  type Document,
  type FencingToken,
  type Head,
  historyLimits,
  type Lease,
  type LeaseInfo,
  maxValueBytes,
  type PutResult,
  type ReadOptions,
  type Revision,
  type RevisionRef,
  type StoreContext,
  type WatchListener,
  type WriteNote,
} from './config-store.ts'
export type { ConfigSync, SyncContext } from './config-sync.ts'
export type { DnsPublisher, DnsPublisherContext, PublishOptions, RecordSet } from './dns-publisher.ts'
export type { Election, ElectionContext, Leadership } from './election.ts'
export type { DetectorContext, FailureDetector, Liveness, Opinion } from './failure-detector.ts'
export {
  type BodyTransform,
  type ExchangeOutcome,
  type Filter,
  type FilterExchange,
  type HeaderFields,
  type OwnResponse,
  protectedFields,
  type RequestView,
  type ResponseView,
} from './filter.ts'
export type { BackendTls, HealthContext, HealthResult, HealthSource, HealthTarget } from './health-source.ts'
export type { AcquireOptions, Lock, LockContext, Locker } from './lock.ts'
export type {
  MetricName,
  MetricsContext,
  MetricsRequest,
  MetricsSource,
  Reading,
} from './metrics-source.ts'
export {
  type AnyPlugin,
  type Clock,
  type Counter,
  definePlugin,
  type Gauge,
  type Log,
  type Metrics,
  type PluginContext,
  type PluginDefinition,
  type PluginKind,
  type PluginKinds,
  type ThreadContext,
  type ThreadKind,
  type Timer,
  threadKinds,
} from './plugin.ts'
export type { FleetNode, Members, Network, ProcessContext, Received } from './process.ts'
export type { Provisioned, Provisioner, ProvisionRequest, StopOptions } from './provisioner.ts'
export type { Vip, VipContext, VirtualAddress } from './vip.ts'
