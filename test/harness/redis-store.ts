/** The built-in Redis plugins as a node has them: made by the host, with its clock, and a log that can be read. */
import { randomUUID } from 'node:crypto'
import type { ConfigStore, ConfigSync, Document, PutResult, Revision, RevisionRef } from 'millrace'
import { systemClock } from '../../core/host/clock.ts'
import { createInstance, type InstanceDeps } from '../../core/host/instance.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import redisStore from '../../plugins/config-store/redis.ts'
import redisSync from '../../plugins/config-sync/redis.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime } from '../conformance/time.ts'
import { release, type Scoped } from './cleanup.ts'

export interface MadeStore {
  readonly store: ConfigStore
  readonly warnings: string[]
  stop(): Promise<void>
}

const nothing = { add() {}, set() {} }
const storePlugin = () => builtIn(redisStore as never) as unknown as LoadedPlugin<'config-store'>
const syncPlugin = () => builtIn(redisSync as never) as unknown as LoadedPlugin<'config-sync'>

function deps(warnings: string[]): Pick<InstanceDeps, 'id' | 'clock' | 'random' | 'log' | 'metrics'> {
  const warn = (message: string): void => void warnings.push(message)
  return {
    id: 'test/redis',
    clock: systemClock,
    random: Math.random,
    log: { debug() {}, info() {}, warn, error: warn },
    metrics: { counter: () => nothing, gauge: () => nothing },
  }
}

export async function makeStore(
  options: object,
  given: Scoped & { fleet?: string } = {},
): Promise<MadeStore> {
  const warnings: string[] = []
  const { instance, stop } = await createInstance(storePlugin(), 'config-store', options, {
    ...deps(warnings),
    fleet: given.fleet ?? 'default',
    node: { id: `node-${randomUUID().slice(0, 4)}`, boot: randomUUID() },
    data: '/nonexistent',
  })
  release(given, stop)
  return { store: instance, warnings, stop }
}

export interface MadeSync {
  readonly sync: ConfigSync
  readonly warnings: string[]
  readonly hints: [document: string, revision: RevisionRef | undefined][]
  readonly states: ('up' | 'down')[]
  stop(): Promise<void>
}

export interface SyncNode extends Scoped {
  readonly fleet?: string
  readonly fleetKeys?: readonly string[]
  readonly id?: string
  readonly documents?: readonly string[]
}

export async function makeSync(options: object, given: SyncNode = {}): Promise<MadeSync> {
  const warnings: string[] = []
  const hints: MadeSync['hints'] = []
  const states: MadeSync['states'] = []
  const self = {
    id: given.id ?? 'n',
    boot: randomUUID(),
    role: 'lb',
    address: '127.0.0.1:1',
    zone: '',
  } as const
  const { instance, stop } = await createInstance(syncPlugin(), 'config-sync', options, {
    ...deps(warnings),
    fleet: given.fleet ?? 'default',
    fleetKeys: given.fleetKeys ?? [],
    documents: given.documents ?? [''],
    store: new MemoryStore(new FakeTime()).client(),
    network: undefined as never,
    members: { self, all: () => [self], watch: () => ({ cancel() {} }) },
    hint: (document, revision) => void hints.push([document, revision]),
    bus: (state) => void states.push(state),
  })
  release(given, stop)
  return { sync: instance, warnings, hints, states, stop }
}

export const note = { by: 'test' }

export const writeId = (): string => `w-${randomUUID()}`

/** A write that has to succeed. */
export async function write(
  store: ConfigStore,
  document: string,
  text: string | Uint8Array | null,
  expect: RevisionRef | null,
): Promise<Revision> {
  const value = typeof text === 'string' ? Buffer.from(text) : text
  const result = await store.put(document, value, expect, writeId(), note)
  if (result.status !== 'committed') throw new Error(`put of ${document}: ${JSON.stringify(result)}`)
  return result.revision
}

/** Repeats one write until its outcome is known. */
export async function settle(put: () => Promise<PutResult>): Promise<PutResult> {
  for (let tries = 0; tries < 200; tries++) {
    const result = await put().catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'MR_STORE_UNAVAILABLE') throw error
      return undefined
    })
    if (result !== undefined && result.status !== 'unknown') return result
  }
  throw new Error('the write was not settled in 200 tries')
}

export const textOf = (document: Document | null): string | undefined =>
  document?.value ? Buffer.from(document.value).toString() : undefined
