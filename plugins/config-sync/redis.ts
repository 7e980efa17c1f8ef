import { definePlugin, duration, z } from 'millrace'
import { createBus } from '../lib/redis-bus.ts'
import { checkConnection, connectionFields } from '../lib/redis-options.ts'

const options = z
  .strictObject({
    ...connectionFields,
    heartbeat: duration
      .refine((ms) => ms >= 50 && ms <= 60_000, 'heartbeat is 50ms to 1m')
      .prefault('1s')
      .describe('How often the bus proves that it brings messages; after three silent ones it is down'),
  })
  .superRefine(checkConnection)

/**
 * Hints by Redis pub/sub, with a heartbeat on the same channel. Pub/sub forgets what nobody listens to and says nothing
 * when it is cut off: so the bus is up only after the subscription was acknowledged, and down when the connection is lost or
 * three heartbeats are missing; meanwhile the engine polls. Whichever node has waited longest sends the heartbeat, for all. Messages
 * carry an HMAC by `fleetKey`; replays are dropped. Uses the package `ioredis`.
 */
export default definePlugin({
  api: 1,
  kind: 'config-sync',
  name: 'redis',
  description: 'Hints by Redis pub/sub, with a heartbeat on the bus.',
  options,
  create: (context, parsed) => createBus(context, parsed, 'redis'),
})
