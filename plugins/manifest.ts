/** The built-in plugins. A list and nothing else: importing it starts nothing, and libraries load at first use. */
import type { AnyPlugin } from 'millrace'
import leastConnections from './algorithm/least-connections.ts'
import maglev from './algorithm/maglev.ts'
import powerOfTwoChoices from './algorithm/power-of-two-choices.ts'
import random from './algorithm/random.ts'
import ringHash from './algorithm/ring-hash.ts'
import roundRobin from './algorithm/round-robin.ts'
import weightedRoundRobin from './algorithm/weighted-round-robin.ts'
import adaptiveConcurrency from './circuit-breaker/adaptive-concurrency.ts'
import consecutiveErrors from './circuit-breaker/consecutive-errors.ts'
import errorRate from './circuit-breaker/error-rate.ts'
import latency from './circuit-breaker/latency.ts'
import headers from './filter/headers.ts'
import requestId from './filter/request-id.ts'
import httpProbe from './health-source/http-probe.ts'
import fixed from './health-source/static.ts'

export const builtins: readonly AnyPlugin[] = [
  leastConnections,
  maglev,
  powerOfTwoChoices,
  random,
  ringHash,
  roundRobin,
  weightedRoundRobin,
  adaptiveConcurrency,
  consecutiveErrors,
  errorRate,
  latency,
  headers,
  requestId,
  httpProbe,
  fixed,
]
