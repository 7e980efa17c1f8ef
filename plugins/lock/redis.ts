import type { RedisOptions } from 'ioredis'
import { definePlugin, type LockContext, type Locker, z } from 'millrace'
import { LeaseLocker } from '../lib/lease-locker.ts'
import { DurabilityWatch } from '../lib/redis-durability.ts'
import { type Arguments, argumentsOf, RedisLeases } from '../lib/redis-leases.ts'
import { type Answer, RedisLink } from '../lib/redis-link.ts'
import {
  type Connection,
  checkConnection,
  connectionFields,
  driverOptions,
  placeOf,
} from '../lib/redis-options.ts'
import { runScript } from '../lib/redis-run.ts'
import type { Script } from '../lib/redis-scripts.ts'

async function create(context: LockContext, options: Connection): Promise<Locker> {
  const driver = await import('ioredis')
  const place = placeOf(options)
  const watch = new DurabilityWatch(context.log, place)
  const link = new RedisLink({
    make: (given: RedisOptions) => new driver.Redis(given),
    driver: driverOptions(options, `millrace:${context.fleet}:${context.members.self.id}:lock`, context),
    context,
    place,
    limitMs: options.timeout,
    onUp: (_redis, info) => watch.look(info),
  })
  // At once closed where the node has stopped in the meantime.
  context.defer(() => link.close())
  // Not the store's prefix: the lock of a name and the lease of that name are two things.
  const prefix = `{millrace:${context.fleet}:locks}:`
  const run = <T>(script: Script, keys: readonly string[], given: Arguments): Promise<Answer<T>> => {
    const full = keys.map((key) => prefix + key)
    return link.call((redis) => runScript<T>(redis, script, full, argumentsOf(given)))
  }
  const leases = new RedisLeases({
    clock: context.clock,
    // Fires never: at stop the locker ends its locks by itself, and frees them.
    signal: new AbortController().signal,
    runId: () => link.info.get('run_id') ?? '',
    run,
    write: run,
  })
  return new LeaseLocker(context, (name, holder, ttlMs) => leases.take(name, holder, ttlMs))
}

/**
 * Locks on one Redis server (6.2 or newer), with Sentinel where you have it: in one script the key is set if it is not there, with its time
 * to live, and the fencing token is counted; it is renewed and deleted only while it is still this holder's.
 *
 * The token is the greater of a counter and the server's clock in microseconds, so a server that has lost the counter goes
 * on above it. A server that was restarted, or promoted, gives no lock to anybody new before those that it may have lost are over; one
 * that has lost everything knows of none, and only the token is left (docs/locks.md). Uses the package `ioredis`.
 */
export default definePlugin({
  api: 1,
  kind: 'lock',
  name: 'redis',
  description: 'Locks on one Redis server, with Sentinel where you have it.',
  options: z.strictObject(connectionFields).superRefine(checkConnection),
  create,
})
