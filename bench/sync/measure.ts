/** What a way of syncing does: how fast a change spreads, what it costs when nothing changes, and how it takes faults. */
import { setTimeout as later } from 'node:timers/promises'
import { TimeHistogram } from '../stats/quantiles.ts'
import type { EngineGroup } from './group.ts'
import type { Relay } from './relay.ts'
import type { Faults, Spread } from './results.ts'
import type { Server } from './servers.ts'

export interface SyncPlan {
  readonly engines: readonly number[]
  readonly faultEngines: number
  /** Changes are made for so many seconds, and at least so many of them. */
  readonly changeSeconds: number
  readonly leastChanges: number
  readonly mostChanges: number
  readonly idleSeconds: number
  readonly faultReconcileMs: number
  readonly silentMs: number
}

export const syncPlans = {
  quick: {
    ...{ engines: [1, 10, 100], faultEngines: 10, changeSeconds: 6, leastChanges: 6, mostChanges: 100 },
    ...{ idleSeconds: 4, faultReconcileMs: 10_000, silentMs: 5000 },
  },
  full: {
    ...{ engines: [1, 10, 100], faultEngines: 10, changeSeconds: 30, leastChanges: 25, mostChanges: 300 },
    ...{ idleSeconds: 15, faultReconcileMs: 20_000, silentMs: 5000 },
  },
} as const satisfies Record<string, SyncPlan>

/** Between two changes, so that no change waits for what the one before has left to do: the nodes' records, up to 0.3 s later. */
const pauseMs = { least: 450, more: 100 }

export async function measureSpread(
  group: EngineGroup,
  { approach, engines }: { readonly approach: string; readonly engines: number },
  plan: SyncPlan,
  random: () => number,
): Promise<Spread> {
  const [each, last] = [new TimeHistogram(), new TimeHistogram()]
  // The first finds code that has not run yet.
  await group.change()
  const before = group.counts()
  const end = performance.now() + plan.changeSeconds * 1000
  let changes = 0
  while (changes < plan.mostChanges && (changes < plan.leastChanges || performance.now() < end)) {
    await later(pauseMs.least + random() * pauseMs.more)
    const times = await group.change()
    for (const ms of times) each.record(ms)
    last.record(Math.max(...times))
    changes++
  }
  await later(pauseMs.least + pauseMs.more)
  const after = group.counts()
  const per = changes * engines
  const began = performance.now()
  await later(plan.idleSeconds * 1000)
  const idleSeconds = (performance.now() - began) / 1000
  return {
    ...{ approach, engines, changes, idleSeconds },
    each: each.quantiles(),
    last: last.quantiles(),
    hints: (after.hints - before.hints) / per,
    reads: (after.reads - before.reads) / per,
    idleReads: (group.counts().reads - after.reads) / idleSeconds,
  }
}

export interface FaultRig {
  readonly approach: string
  readonly engines: number
  readonly hasBus: boolean
  /** What carries the hints; undefined: nothing that could be cut. */
  readonly relay: Relay | undefined
  /** undefined: the store is a file. */
  readonly server: Server | undefined
}

export async function measureFaults(group: EngineGroup, rig: FaultRig, plan: SyncPlan): Promise<Faults> {
  const { approach, engines, hasBus, relay, server } = rig
  await group.change()
  const silent = relay && (await bySilence(group, relay, plan.silentMs))
  await group.ready()
  const lost = hasBus ? await byLoss(group) : undefined
  await group.ready()
  const restart = server && (await byRestart(group, server))
  return { approach, engines, silent, lost, restart }
}

async function bySilence(group: EngineGroup, relay: Relay, silentMs: number): Promise<number> {
  relay.freeze()
  const healed = later(silentMs).then(() => relay.heal())
  try {
    return Math.max(...(await group.change()))
  } finally {
    await healed
  }
}

async function byLoss(group: EngineGroup): Promise<number> {
  group.loseHints()
  return Math.max(...(await group.change()))
}

async function byRestart(group: EngineGroup, server: Server): Promise<number> {
  await server.restart()
  return Math.max(...(await group.change()))
}
