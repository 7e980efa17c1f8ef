/** Every case, by group. Groups load when they are asked for: a thread that measures picks need not load the proxy. */
import type { Group, MicroCase } from './case.ts'
import { groups } from './case.ts'

const lists: Readonly<Record<Group, () => Promise<readonly MicroCase[]>>> = {
  algorithms: async () => (await import('./algorithms.ts')).algorithms,
  breakers: async () => (await import('./breakers.ts')).breakers,
  filters: async () => (await import('./filters.ts')).filters,
  heads: async () => (await import('./heads.ts')).heads,
  snapshots: async () => (await import('./snapshots.ts')).snapshots,
}

/** In the order of `groups`. */
export async function casesOf(wanted: readonly Group[] = groups): Promise<MicroCase[]> {
  const found = await Promise.all(
    groups.filter((group) => wanted.includes(group)).map((group) => lists[group]()),
  )
  return found.flat()
}
