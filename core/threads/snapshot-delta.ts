/**
 * What travels between the main thread and a data thread when the config changes: only what is another object than before.
 * The main thread keeps objects whose content has not changed (`shareUnchanged`), so both sides see the same identity.
 */
import { isDeepStrictEqual } from 'node:util'
import type { PlacedService, ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import type { SnapshotDelta, SnapshotRest } from './messages.ts'

/** `next` with each unchanged part replaced by the object of `previous`, so that `===` means unchanged. */
export function shareUnchanged(previous: ThreadSnapshot | undefined, next: ThreadSnapshot): ThreadSnapshot {
  if (!previous) return next
  const shared: Record<string, unknown> = { ...next }
  for (const key of restKeys(next)) {
    if (isDeepStrictEqual(previous[key], next[key])) shared[key] = previous[key]
  }
  return shared as unknown as ThreadSnapshot
}

/** The difference a thread needs that has committed `base`. */
export function makeDelta(base: ThreadSnapshot | undefined, next: ThreadSnapshot): SnapshotDelta {
  const rest: Record<string, unknown> = {}
  for (const key of restKeys(next)) if (!base || base[key] !== next[key]) rest[key] = next[key]
  const changed: (readonly [string, PlacedService])[] = []
  for (const entry of next.services) if (base?.services.get(entry[0]) !== entry[1]) changed.push(entry)
  const removed: string[] = []
  for (const name of base?.services.keys() ?? []) if (!next.services.has(name)) removed.push(name)
  return { base: base?.revision, rest: rest as Partial<SnapshotRest>, changed, removed }
}

/** Puts a delta onto what the thread has. Unchanged services keep their identity. */
export function applyDelta(base: ThreadSnapshot | undefined, delta: SnapshotDelta): ThreadSnapshot {
  if (delta.base !== base?.revision) {
    throw new TypeError(`delta over revision ${delta.base} does not fit revision ${base?.revision}`)
  }
  const services = new Map(base?.services)
  for (const name of delta.removed) services.delete(name)
  for (const [name, service] of delta.changed) services.set(name, service)
  return { ...base, ...delta.rest, services } as ThreadSnapshot
}

function restKeys(snapshot: ThreadSnapshot): (keyof SnapshotRest)[] {
  return Object.keys(snapshot).filter((key) => key !== 'services') as (keyof SnapshotRest)[]
}
