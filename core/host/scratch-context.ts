/** What an instance is given that is made only to be stopped again: nothing that it does there is seen or kept. */
import type { ThreadContext } from '../contracts/plugin.ts'
import { systemClock } from './clock.ts'
import type { InstanceDeps } from './instance.ts'

export interface ScratchUse {
  readonly id: string
  /** Where the use stands in the config. */
  readonly path: string
  /** What relative paths of its options are taken from. */
  readonly directory: string
  readonly trial: boolean
}

/** Of every kind. */
export function scratchDeps({ id, path, directory, trial }: ScratchUse) {
  const nothing = (): void => {}
  return {
    ...{ id, path, directory, trial },
    clock: systemClock,
    random: Math.random,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    metrics: { counter: () => ({ add: nothing }), gauge: () => ({ set: nothing }) },
  }
}

/** Of the thread kinds: the first of so many data threads, with memory of its own. */
export function scratchThreadDeps(
  use: ScratchUse,
  threads: number,
): InstanceDeps<'algorithm' | 'circuit-breaker' | 'filter'> {
  const memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  const shared: ThreadContext['shared'] = (name, bytes, backend) => {
    const key = `${backend?.slot ?? ''} ${name}`
    const found = memory.get(key) ?? new Uint8Array(new SharedArrayBuffer((bytes + 7) & ~7))
    memory.set(key, found)
    return found
  }
  return { ...scratchDeps(use), thread: 0, threads, shared }
}
