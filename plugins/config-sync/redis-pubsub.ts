import { definePlugin, z } from 'millrace'
import { createBus } from '../lib/redis-bus.ts'
import { checkConnection, connectionFields } from '../lib/redis-options.ts'

const options = z.strictObject(connectionFields).superRefine(checkConnection)

/**
 * Hints by Redis pub/sub and nothing else: no heartbeat. A connection that is dead without a sign (a stopped server, a cable)
 * stays `up` here, and changes wait for the slow reconcile. It is there to be compared with `redis`, which you want. Uses the
 * package `ioredis`.
 */
export default definePlugin({
  api: 1,
  kind: 'config-sync',
  name: 'redis-pubsub',
  description: 'Hints by Redis pub/sub without a heartbeat, for comparison.',
  options,
  create: (context, parsed) => createBus(context, parsed, 'redis-pubsub'),
})
