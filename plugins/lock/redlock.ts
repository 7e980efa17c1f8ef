import type { RedisOptions } from 'ioredis'
import { definePlugin, duration, type LockContext, type Locker, MillraceError, z } from 'millrace'
import { LeaseLocker } from '../lib/lease-locker.ts'
import { RedisLink } from '../lib/redis-link.ts'
import { checkConnection, connectionFields, driverOptions, placeOf, redisUrl } from '../lib/redis-options.ts'
import { Redlock } from '../lib/redlock.ts'
import { drawToken } from '../lib/store-tokens.ts'

const { username, password, tls } = connectionFields

const options = z
  .strictObject({
    /** The servers, redis://[user:password@]host[:port][/db] each: masters that know nothing of one another. 5 go on without 2. */
    nodes: z
      .array(redisUrl)
      .min(3)
      .max(15)
      .refine(
        ({ length }) => length % 2 === 1,
        'expected an odd number of servers: one more does not survive more of them',
      )
      .refine(
        (nodes) => new Set(nodes.map(hostOf)).size === nodes.length,
        'expected different servers: one that is named twice would have two votes',
      ),
    username,
    password,
    tls,
    /** How long one server may take; much less than the time to live of the locks. */
    timeout: duration.refine((ms) => ms >= 10 && ms <= 5000, 'timeout is 10ms to 5s').prefault('200ms'),
  })
  .superRefine(({ tls, timeout }, context) => checkConnection({ tls, timeout }, context))
type Options = z.output<typeof options>

/** What is no URL is another problem. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url
}

async function create(context: LockContext, { nodes: urls, ...common }: Options): Promise<Locker> {
  const { store, fleet, members, clock } = context
  if (!store)
    throw new MillraceError(
      'MR_CONFIG_REFERENCE',
      'Redlock takes its fencing tokens from the config store, as its own servers may forget: `store:` is missing',
      { plugin: 'redlock' },
    )
  const driver = await import('ioredis')
  const nodes = urls.map((url) => {
    const connection = { ...common, url }
    const link = new RedisLink({
      make: (given: RedisOptions) => new driver.Redis(given),
      driver: driverOptions(connection, `millrace:${fleet}:${members.self.id}:lock`, context),
      context,
      place: placeOf(connection),
      limitMs: common.timeout,
    })
    // At once closed where the node has stopped in the meantime.
    context.defer(() => link.close())
    return link
  })
  const redlock = new Redlock({
    ...{ nodes, clock, prefix: `{millrace:${fleet}:redlock}:` },
    token: (name, holder) => drawToken(store, context, name, holder),
  })
  return new LeaseLocker(context, (name, holder, ttlMs) => redlock.take(name, holder, ttlMs))
}

/**
 * Redlock: a lock is held by whom more than half of several independent Redis servers have given it to, so that one which is away
 * holds up nobody.
 *
 * Servers that restart empty forget what they gave, and then two may hold a lock at once. So its fencing tokens come from
 * the fleet's config store, which does not forget: whatever the lock guards has to look at them (docs/locks.md). Uses the package
 * `ioredis`.
 */
export default definePlugin({
  api: 1,
  kind: 'lock',
  name: 'redlock',
  description:
    'Locks given by a majority of independent Redis servers; fencing tokens from the config store.',
  options,
  create,
})
