import { createHash } from 'node:crypto'
import { definePlugin, MillraceError, z } from 'millrace'
import { LeaseLocker } from '../lib/lease-locker.ts'

/** A lease's name is as long as a lock's, and has this before it: locks are kept apart from what else is leased. */
const prefix = 'lock/'
const longestName = 200 - prefix.length

/**
 * Locks by the leases of the fleet's config store: what the store promises of leases holds of them, and no further server is needed.
 * The lock NAME is the lease `lock/NAME`; one whose name is too long for that is `lock-by-hash/` and its SHA-256.
 */
export default definePlugin({
  api: 1,
  kind: 'lock',
  name: 'store',
  description: 'Locks by the leases of the fleet’s config store.',
  options: z.strictObject({}),
  create(context) {
    const { store } = context
    if (!store)
      throw new MillraceError(
        'MR_CONFIG_REFERENCE',
        'locks by leases of the config store need one: `store:` is missing',
        { plugin: 'store' },
      )
    return new LeaseLocker(context, (name, holder, ttlMs) => store.lease(leaseNameOf(name), holder, ttlMs))
  },
})

function leaseNameOf(name: string): string {
  if (name.length <= longestName) return prefix + name
  return `lock-by-hash/${createHash('sha256').update(name).digest('hex')}`
}
