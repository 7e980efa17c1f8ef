/** Metric families of the config store; without one they have no samples. */
import type { SyncState } from '../config/sync/state.ts'
import type { Family } from './family.ts'

const family = (
  name: string,
  help: string,
  value: (state: SyncState) => number,
  type: Family['type'] = 'gauge',
): Family => ({
  name: `millrace_config_${name}`,
  ...{ type, help, labels: [] },
  read: (sources) => {
    const { sync } = sources.node()
    return sync ? [[{}, value(sync)]] : []
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
  family('sync_up', '1 while the bus that tells of changes is up; else the store is polled.', ({ bus }) =>
    Number(bus === 'up'),
  ),
]
