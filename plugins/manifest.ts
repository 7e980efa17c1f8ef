/** The built-in plugins. A list and nothing else: importing it starts nothing, and libraries load at first use. */
import type { AnyPlugin } from 'millrace'
import leastConnections from './algorithm/least-connections.ts'
import maglev from './algorithm/maglev.ts'
import peakEwma from './algorithm/peak-ewma.ts'
import powerOfTwoChoices from './algorithm/power-of-two-choices.ts'
import random from './algorithm/random.ts'
import ringHash from './algorithm/ring-hash.ts'
import roundRobin from './algorithm/round-robin.ts'
import weightedRoundRobin from './algorithm/weighted-round-robin.ts'
import consecutiveErrors from './circuit-breaker/consecutive-errors.ts'
import errorRate from './circuit-breaker/error-rate.ts'
import headers from './filter/headers.ts'
import requestId from './filter/request-id.ts'
import stickyCookie from './filter/sticky-cookie.ts'
import httpProbe from './health-source/http-probe.ts'
import fixed from './health-source/static.ts'

export const builtins: readonly AnyPlugin[] = [
  leastConnections,
  maglev,
  peakEwma,
  powerOfTwoChoices,
  random,
  ringHash,
  roundRobin,
  weightedRoundRobin,
  consecutiveErrors,
  errorRate,
  headers,
  requestId,
  stickyCookie,
  httpProbe,
  fixed,
]
