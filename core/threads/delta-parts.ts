/**
 * A large delta in parts. A thread reads a message whole, in one turn of its loop, and its requests wait so long: 10,000 backends in
 * one are some 30 ms. So no part has more backends than are read in a millisecond, and the next is sent when one has been taken.
 */
import type { BackendConfig } from '../config/snapshot.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import type { DeltaPart, SnapshotDelta } from './messages.ts'

const backendsInPart = 200

/**
 * @param limit backends in a part
 * @returns the delta as it is and no parts, where it is small; else the parts, and the delta without what is in them
 */
export function splitDelta(
  delta: SnapshotDelta,
  limit = backendsInPart,
): { readonly parts: readonly DeltaPart[]; readonly delta: SnapshotDelta } {
  const count = delta.changed.reduce((sum, [, { config }]) => sum + config.backends.length, 0)
  if (count <= limit) return { parts: [], delta }
  const parts: DeltaPart[number][][] = []
  let left = 0
  for (const [name, service] of delta.changed) {
    const { backends } = service.config
    let begins: PlacedService | undefined = { ...service, config: { ...service.config, backends: [] } }
    let at = 0
    while (begins || at < backends.length) {
      if (left <= 0) {
        parts.push([])
        left = limit
      }
      const piece = backends.slice(at, at + left)
      parts[parts.length - 1].push({ name, begins, backends: piece })
      at += piece.length
      // What else there is of a service counts as some backends.
      left -= piece.length + (begins ? 5 : 0)
      begins = undefined
    }
  }
  return { parts, delta: { ...delta, changed: [] } }
}

/** What {@link splitDelta} has divided, whole again. */
export function joinDelta(parts: readonly DeltaPart[], delta: SnapshotDelta): SnapshotDelta {
  if (parts.length === 0) return delta
  const changed: (readonly [string, PlacedService])[] = []
  let backends: BackendConfig[] = []
  for (const { name, begins, backends: more } of parts.flat()) {
    if (begins) {
      backends = []
      changed.push([name, { ...begins, config: { ...begins.config, backends } }])
    }
    for (const backend of more) backends.push(backend)
  }
  return { ...delta, changed }
}
