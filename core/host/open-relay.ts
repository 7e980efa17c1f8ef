/** Makes the relay of this process, where there is something to announce with. */
import { Relay, type RelayDeps } from '../config/sync/relay.ts'
import type { ConfigStore } from '../contracts/config-store.ts'
import type { ConfigSync } from '../contracts/config-sync.ts'
import type { RawClock } from './clock.ts'
import { type LockDeps, openLock } from './open-lock.ts'

export interface OpenRelayDeps
  extends LockDeps,
    Pick<RelayDeps, 'documents' | 'pollMs' | 'ttlMs' | 'standbyMs'> {
  readonly store: ConfigStore
  readonly sync: ConfigSync
  readonly clock: RawClock
}

export interface OpenRelay {
  readonly relay: Relay
  /** Idempotent; never rejects. */
  stop(): Promise<void>
}

/** @returns undefined where the sync announces nothing: the store itself tells of its changes, or it is polled */
export async function openRelay(deps: OpenRelayDeps): Promise<OpenRelay | undefined> {
  const { store, sync, documents, clock, log, pollMs, ttlMs, standbyMs } = deps
  if (!sync.announce) return undefined
  const announce = sync.announce.bind(sync)
  const lock = await openLock({ use: 'store', options: {}, path: 'store' }, deps)
  const relay = new Relay({
    ...{ store, sync: { announce }, documents, locker: lock.locker, clock, log, pollMs, ttlMs, standbyMs },
    random: () => deps.random(),
  })
  relay.start()
  const stop = async (): Promise<void> => {
    await relay.stop()
    await lock.stop()
  }
  return { relay, stop }
}
