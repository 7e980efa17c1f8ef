/** Part `config` of what the admin listener says: what is served, and what is in the way of what should be. */
import { revisionText, type SyncState } from '../config/sync/state.ts'
import type { ReadinessEntry } from './status.ts'

/**
 * @param revision of the snapshot that is served; 0: none
 * @param sync undefined: the config is a file
 */
export function configEntry(revision: number, sync: SyncState | undefined): ReadinessEntry {
  const ready = revision > 0
  if (!sync) return { name: 'config', ready, detail: ready ? `revision ${revision}` : 'none applied yet' }
  const troubles = [...troublesOf(sync)]
  const served = sync.applied ? `${revisionText(sync.applied)} from ${sync.from}` : waiting(sync)
  return {
    name: 'config',
    ready,
    degraded: troubles.length > 0,
    detail: [served, ...troubles].join('; '),
  }
}

function waiting({ empty, reachable }: SyncState): string {
  if (empty) return 'the store holds no config yet'
  return reachable === false ? 'waits for the store' : 'none applied yet'
}

function* troublesOf({ nack, fork, reachable, failure, notKept }: SyncState): Generator<string> {
  if (nack) yield `${revisionText(nack)} is refused: ${nack.reason.replaceAll('\n', ' | ')}`
  if (fork) {
    const { followsAt, reason } = fork
    const then = followsAt ? `is followed at ${new Date(followsAt).toISOString()}` : 'is not followed'
    yield `FORK: ${reason}; the store ${then}`
  }
  if (reachable === false) yield `the store cannot be asked: ${failure}`
  if (notKept) yield `last-known-good cannot be kept: ${notKept}`
}
