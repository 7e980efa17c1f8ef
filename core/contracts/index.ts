/** The public `millrace` API: all that a plugin imports. */
export { z } from 'zod'
export { type ConfigInput, defineConfig } from '../config/define.ts'
export { serviceName } from '../config/service-name.ts'
export { duration, rate, ratio, size } from '../config/units.ts'
export { type ErrorCode, errorTable, MillraceError } from '../host/errors.ts'
export type { Algorithm, Backend, BackendView, Member, PickRequest } from './algorithm.ts'
export type { BreakerGate, BreakerState, CircuitBreaker, Outcome } from './circuit-breaker.ts'
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
  type Timer,
  threadKinds,
} from './plugin.ts'
