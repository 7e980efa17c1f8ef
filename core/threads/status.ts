/** What the admin listener says of the process: which parts are ready. */
import type { ThreadState } from './supervise.ts'

export interface ReadinessEntry {
  readonly name: string
  readonly ready: boolean
  readonly detail?: string
}

export interface ReadinessSources {
  /** 0 while no config is served. */
  readonly revision: number
  readonly draining: boolean
  readonly threads: readonly ThreadState[]
}

/** Ready to take traffic: a config is served by a thread at least, none of them dies again and again, and no drain has begun. */
export function readiness(sources: ReadinessSources): ReadinessEntry[] {
  const { revision, draining, threads } = sources
  const serving = threads.filter(({ status }) => status === 'serving').length
  const looping = threads.filter(({ crashLoop }) => crashLoop)
  return [
    {
      name: 'config',
      ready: revision > 0,
      detail: revision > 0 ? `revision ${revision}` : 'none applied yet',
    },
    {
      name: 'threads',
      ready: serving > 0 && looping.length === 0,
      detail: [
        `${serving} of ${threads.length} serving`,
        ...looping.map(
          ({ thread, lastError }) => `thread ${thread} keeps dying: ${lastError ?? 'no error given'}`,
        ),
      ].join('; '),
    },
    { name: 'drain', ready: !draining, detail: draining ? 'draining' : 'not draining' },
  ]
}
