/** Metric families of the config store; without one they have no samples. */
import type { SyncState } from '../config/sync/state.ts'
import type { Family } from './family.ts'

const family = (
  name: string,
  help: string,
  value: (state: SyncState) => number | undefined,
  type: Family['type'] = 'gauge',
): Family => ({
  name: `millrace_config_${name}`,
  ...{ type, help, labels: [] },
  read: (sources) => {
    const { sync } = sources.node()
    const now = sync && value(sync)
    return now === undefined ? [] : [[{}, now]]
  },
})

export const syncFamilies: readonly Family[] = [
  family(
    'store_revision',
    'Revision of the config store that is served; 0 while there is none.',
    ({ applied }) => applied?.number ?? 0,
  ),
  family(
    'store_nack_revision',
    'Revision of the config store that this node refused last; 0 when it never did.',
    ({ lastNack }) => lastNack,
  ),
  family(
    'store_refused',
    '1 while the newest config of the store is refused here and an older one is served.',
    ({ nack }) => Number(nack !== undefined),
  ),
  family('store_up', '1 when the last read of the config store was answered.', ({ reachable }) =>
    Number(reachable === true),
  ),
  family(
    'store_fork',
    '1 while the config store does not go on from what is served, and what is served is held.',
    ({ fork }) => Number(fork !== undefined),
  ),
  family(
    'store_reads_total',
    'Reads of the config store: heads, values, history. No request makes any.',
    ({ reads }) => reads,
    'counter',
  ),
  family(
    'relay_working',
    '1 on the node of the fleet that announces what was committed and never announced.',
    ({ relay }) => relay && Number(relay.working),
  ),
  family(
    'relay_announced_total',
    'Changes that this node has announced for those who did not.',
    ({ relay }) => relay?.announced,
    'counter',
  ),
  family(
    'backup_last_success_timestamp_seconds',
    'When the last backup of the fleet was made, by whichever node; 0: never, as far as this node has seen.',
    ({ backup }) => backup && (backup.madeAt ?? 0) / 1000,
  ),
  family(
    'backup_failing',
    '1 while the last try of the fleet to make a backup has failed.',
    ({ backup }) => backup && Number(backup.failing),
  ),
  family('sync_up', '1 while the bus that tells of changes is up; else the store is polled.', ({ bus }) =>
    Number(bus === 'up'),
  ),
]
