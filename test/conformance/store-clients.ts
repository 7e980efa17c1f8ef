/** Two clients of one store, and the faults that the author can bring about. */
import { strict as assert } from 'node:assert'
import { setTimeout as later } from 'node:timers/promises'
import {
  type ConfigStore,
  MillraceError,
  type PutResult,
  type Revision,
  type RevisionRef,
  type StoreContext,
} from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import type { Making, Stage } from './stage.ts'
import type { FakeTime } from './time.ts'

/** An empty store, for one test. */
export interface StoreSite {
  /** Options of each client; default: those of the test. */
  readonly options?: unknown
  readonly context?: Partial<StoreContext>
  /** Whether two clients meet in it. False (a store inside the process): one client plays both. Default true. */
  readonly shared?: boolean
  /** Moves the store's time; default: real time passes. */
  readonly time?: FakeTime
  /** Cuts all clients off from the store, and lets them back. Without it the tests of faults are left out. */
  cut?(): void | Promise<void>
  heal?(): void | Promise<void>
  /** The next write is applied and its answer lost. Without it that test is left out. */
  loseAnswer?(): void | Promise<void>
  /** Ends what was started for this test. */
  stop?(): void | Promise<void>
}

export interface StoreFixture {
  /** Prepares an empty store. */
  start(): StoreSite | Promise<StoreSite>
  /** What the sites can do; only these tests are registered. */
  readonly faults: readonly ('cut' | 'lose-answer')[]
}

type Scene = Stage<'config-store'>

/** An empty store. Without a fixture: the plugin's own options are all there is to it. */
export async function startSite(stage: Scene): Promise<StoreSite> {
  const site = (await stage.aside(() => stage.fixture.start?.())) ?? { shared: false }
  stage.defer(() => site.stop?.())
  return site
}

/** A client of it. */
export function makingFor(
  stage: Scene,
  site: StoreSite,
  context: Partial<StoreContext> = {},
): Making<'config-store'> {
  return {
    options: site.options ?? stage.subject.options,
    clock: site.time?.clock() ?? systemClock,
    context: { ...site.context, ...context },
  }
}

/** Two clients of one empty store. */
export class Clients {
  readonly stage: Scene
  readonly site: StoreSite
  readonly a: ConfigStore
  readonly b: ConfigStore
  #writes = 0

  constructor(stage: Scene, site: StoreSite, a: ConfigStore, b: ConfigStore) {
    this.stage = stage
    this.site = site
    this.a = a
    this.b = b
  }

  static async of(stage: Scene): Promise<Clients> {
    const site = await startSite(stage)
    const client = async (): Promise<ConfigStore> => (await stage.make(makingFor(stage, site))).instance
    const a = await client()
    return new Clients(stage, site, a, site.shared === false ? a : await client())
  }

  /** Another client, of another fleet maybe. */
  async another(context: Partial<StoreContext>): Promise<ConfigStore> {
    return (await this.stage.make(makingFor(this.stage, this.site, context))).instance
  }

  async pass(ms: number): Promise<void> {
    await (this.site.time ? this.site.time.advanceAsync(ms) : later(ms))
  }

  /** Waits in the store's time. */
  async until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
    for (let waited = 0; waited < timeoutMs; waited += 20) {
      if (await condition()) return
      await this.pass(20)
    }
    assert.fail(`not within ${timeoutMs} ms: ${what}`)
  }

  id(): string {
    return `write-${String(++this.#writes).padStart(4, '0')}-0123456789abcdef`
  }

  put(
    store: ConfigStore,
    document: string,
    text: string | null,
    expect: RevisionRef | null,
  ): Promise<PutResult> {
    return store.put(document, text === null ? null : Buffer.from(text), expect, this.id(), note)
  }

  /** A put that must succeed. */
  async write(
    document: string,
    text: string | null,
    expect: RevisionRef | null,
    store = this.a,
  ): Promise<Revision> {
    const result = await this.put(store, document, text, expect)
    assert.equal(result.status, 'committed', `put of ${document}: ${result.status}`)
    return (result as { revision: Revision }).revision
  }

  /** Some revisions of one document, one after the other. */
  async writes(document: string, count: number): Promise<Revision[]> {
    const revisions: Revision[] = []
    for (let i = 0; i < count; i++)
      revisions.push(await this.write(document, `v${i + 1}`, revisions.at(-1) ?? null))
    return revisions
  }
}

export const note = { by: 'conformance', message: 'a test', schema: 1 }

export const textOf = async (store: ConfigStore, document: string): Promise<string | null | undefined> => {
  const found = await store.get(document, { fresh: true })
  return found === null ? undefined : found.value && Buffer.from(found.value).toString()
}

export async function refused(
  code: MillraceError['code'],
  work: () => Promise<unknown>,
  what: string,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    assert(
      error instanceof MillraceError,
      `${what}: rejected with ${String(error)}; expected a MillraceError`,
    )
    assert.equal(error.code, code, `${what}: ${error.message}`)
    return
  }
  assert.fail(`${what}: was not refused`)
}
