/** What a reload cannot change. */
import { canonical } from './canonical.ts'
import type { Bootstrap } from './snapshot.ts'

/** Keys of the config whose change takes effect only after a restart, e.g. `node.threads`; empty: none changed.
 * `plugins` is not among them: plugin code is loaded anew at a reload. */
export function bootstrapChanges(old: Bootstrap, next: Bootstrap): string[] {
  const pairs: readonly (readonly [key: string, old: unknown, next: unknown])[] = [
    ['fleet', old.fleet, next.fleet],
    ['fleetKey', old.fleetKeys, next.fleetKeys],
    ['node.id', old.node.id, next.node.id],
    ['node.threads', old.node.threads, next.node.threads],
    ['node.data', old.node.data, next.node.data],
    ['node.advertise', old.node.advertise, next.node.advertise],
    ['node.zone', old.node.zone, next.node.zone],
    ['admin', old.admin, next.admin],
    ['api', old.api, next.api],
    ['probing', old.probing, next.probing],
    ['store', old.store, next.store],
    ['sync', old.sync, next.sync],
    ['backup', old.backup, next.backup],
  ]
  return pairs.filter(([, before, after]) => canonical(before) !== canonical(after)).map(([key]) => key)
}
