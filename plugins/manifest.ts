/** The built-in plugins. A list and nothing else: importing it starts nothing, and libraries load at first use. */
import type { AnyPlugin } from 'millrace'
import leastConnections from './algorithm/least-connections.ts'
import maglev from './algorithm/maglev.ts'
import peakEwma from './algorithm/peak-ewma.ts'
import powerOfTwoChoices from './algorithm/power-of-two-choices.ts'
import random from './algorithm/random.ts'
import rendezvous from './algorithm/rendezvous.ts'
import ringHash from './algorithm/ring-hash.ts'
import roundRobin from './algorithm/round-robin.ts'
import weightedRoundRobin from './algorithm/weighted-round-robin.ts'
import adaptiveConcurrency from './circuit-breaker/adaptive-concurrency.ts'
import consecutiveErrors from './circuit-breaker/consecutive-errors.ts'
import errorRate from './circuit-breaker/error-rate.ts'
import latency from './circuit-breaker/latency.ts'
import memory from './config-store/memory.ts'
import redisStore from './config-store/redis.ts'
import sqlite from './config-store/sqlite.ts'
import zookeeper from './config-store/zookeeper.ts'
import gossip from './config-sync/gossip.ts'
import native from './config-sync/native.ts'
import poll from './config-sync/poll.ts'
import push from './config-sync/push.ts'
import redisSync from './config-sync/redis.ts'
import redisPubsub from './config-sync/redis-pubsub.ts'
import swim from './failure-detector/swim.ts'
import basicAuth from './filter/basic-auth.ts'
import bodyLimit from './filter/body-limit.ts'
import cacheControl from './filter/cache-control.ts'
import canary from './filter/canary.ts'
import compress from './filter/compress.ts'
import headers from './filter/headers.ts'
import ipAccess from './filter/ip-access.ts'
import jwt from './filter/jwt.ts'
import mirror from './filter/mirror.ts'
import rateLimit from './filter/rate-limit.ts'
import requestId from './filter/request-id.ts'
import rewrite from './filter/rewrite.ts'
import stickyCookie from './filter/sticky-cookie.ts'
import httpProbe from './health-source/http-probe.ts'
import fixed from './health-source/static.ts'
import redisLock from './lock/redis.ts'
import redlock from './lock/redlock.ts'
import storeLock from './lock/store.ts'

export const builtins: readonly AnyPlugin[] = [
  leastConnections,
  maglev,
  peakEwma,
  powerOfTwoChoices,
  random,
  rendezvous,
  ringHash,
  roundRobin,
  weightedRoundRobin,
  adaptiveConcurrency,
  consecutiveErrors,
  errorRate,
  latency,
  memory,
  sqlite,
  zookeeper,
  native,
  poll,
  gossip,
  push,
  redisStore,
  redisSync,
  redisPubsub,
  swim,
  basicAuth,
  bodyLimit,
  cacheControl,
  canary,
  compress,
  headers,
  ipAccess,
  jwt,
  mirror,
  rateLimit,
  requestId,
  rewrite,
  stickyCookie,
  httpProbe,
  fixed,
  storeLock,
  redisLock,
  redlock,
]
