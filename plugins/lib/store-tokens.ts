/** Fencing tokens from the config store, for locks whose own servers may forget: each is that of a lease which is taken and given back. */
import { createHash } from 'node:crypto'
import { type ConfigStore, type FencingToken, MillraceError } from 'millrace'
import { type LockerContext, paused } from './lease-locker.ts'

/** Should the release be lost: so long nobody else draws a token of this name. */
const ttlMs = 1000
const limitMs = 5000
/** Another draws one at this moment. */
const againMs = 20

/** Hashed: a lease's name is no longer than a lock's, and has something before it. */
const leaseNameOf = (name: string): string =>
  `lock-token/${createHash('sha256').update(name).digest('hex').slice(0, 32)}`

/**
 * The next token of the lock `name`: greater than every one before it, within the store's lineage.
 *
 * @throws MR_STORE_UNAVAILABLE
 */
export async function drawToken(
  store: ConfigStore,
  context: LockerContext,
  name: string,
  holder: string,
): Promise<FencingToken> {
  const { clock, signal } = context
  const until = clock.now() + limitMs
  for (;;) {
    const lease = await store.lease(leaseNameOf(name), holder, ttlMs)
    if (lease) {
      void lease.release()
      return lease.token
    }
    if (clock.now() >= until || signal.aborted)
      throw new MillraceError(
        'MR_STORE_UNAVAILABLE',
        `lock ${name}: the config store gave no fencing token within ${limitMs} ms`,
        { plugin: 'redlock' },
      )
    await paused(clock, againMs * (0.5 + context.random()), [signal])
  }
}
