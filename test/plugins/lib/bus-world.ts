/** What a bus is given, on a simulated network, with members that the test sets. */
import type { FleetNode, Members, Network, SyncContext } from 'millrace'
import { onTestFinished } from 'vitest'
import type { FakeTime } from '../../conformance/time.ts'
import { testLog } from '../../threads/fixtures/server.ts'

export const nodeOf = (id: string, address = `${id}:9903`): FleetNode => ({
  ...{ id, boot: `boot-${id}`, role: 'lb', address, zone: '' },
})

export interface BusNode {
  readonly context: SyncContext
  readonly hints: string[]
  /** What the bus said last. */
  readonly bus: 'up' | 'down'
  /** Who is in the records, from now on. */
  setMembers(...nodes: FleetNode[]): void
  /** As when the process stops in order. */
  stop(): Promise<void>
}

export function busNode(
  time: FakeTime,
  self: FleetNode,
  network: Network,
  others: readonly FleetNode[],
): BusNode {
  const stopping = new AbortController()
  const releases: (() => unknown)[] = []
  const watchers = new Set<() => void>()
  const hints: string[] = []
  let all: readonly FleetNode[] = [self, ...others]
  let state: 'up' | 'down' = 'down'
  const members: Members = {
    self,
    all: () => all,
    watch: (changed) => {
      watchers.add(changed)
      return { cancel: () => void watchers.delete(changed) }
    },
  }
  const nothing = { add() {}, set() {}, observe() {} }
  const context = {
    ...{ network, members, store: undefined, documents: ['config'], signal: stopping.signal },
    ...{ clock: time.clock(), log: testLog().log, random: () => 0.5 },
    metrics: { counter: () => nothing, gauge: () => nothing },
    defer: (release: () => unknown) => void releases.push(release),
    hint: (document: string, revision?: { number: number }) =>
      void hints.push(`${document} ${revision?.number}`),
    bus: (next: 'up' | 'down') => {
      state = next
    },
  } as unknown as SyncContext
  const stop = async (): Promise<void> => {
    stopping.abort()
    for (const release of releases.splice(0)) await release()
  }
  onTestFinished(stop)
  return {
    ...{ context, hints, stop },
    get bus() {
      return state
    },
    setMembers: (...nodes) => {
      all = [self, ...nodes]
      for (const watcher of [...watchers]) watcher()
    },
  }
}
