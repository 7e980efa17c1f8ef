/** Relays on a simulated store, in fake time, with announcements that fail or never end. */
import { onTestFinished } from 'vitest'
import { Relay } from '#core/config/sync/relay'
import type { Lock, RevisionRef } from '#core/contracts/index'
import { MillraceError } from '#core/host/errors'
import { openLock } from '#core/host/open-lock'
import { builtIn, PluginRegistry } from '#core/host/registry'
import { builtins } from '../../../plugins/manifest.ts'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime, seeded } from '../../conformance/time.ts'

const registry = new PluginRegistry()
for (const definition of builtins) registry.add(builtIn(definition))

interface Announced {
  readonly by: string
  readonly document: string
  readonly number: number
}

export class Fleet {
  readonly time = new FakeTime()
  readonly data = new MemoryStore(this.time)
  readonly announced: Announced[] = []
  /** The next announcements fail: all, or of one document. */
  busDown: boolean | string = false
  /** Announcements of this document never end. */
  hangs: string | undefined
  /** Documents that were tried. */
  readonly tried: string[] = []
  /** Called when one was made. */
  afterwards: () => unknown = () => {}
  #writes = 0

  async relay(id: string) {
    const store = this.data.client(this.time.clock(id.length * 1000))
    const clock = this.time.clock()
    const lines: string[] = []
    const write = (message: string): void => void lines.push(message)
    const log = { debug() {}, info: write, warn: write, error: write }
    const random = seeded(id.charCodeAt(0))
    const self = { id, boot: 'b', role: 'lb', address: '', zone: '' } as const
    const lock = await openLock(
      { use: 'store', options: {}, path: 'lock' },
      { registry, store, fleet: 'default', self, clock, random, log },
    )
    const locks: Lock[] = []
    const relay = new Relay({
      ...{ store, clock, random, log, pollMs: 250, ttlMs: 5000, standbyMs: 3000 },
      locker: {
        acquire: async (...given) => {
          const got = await lock.locker.acquire(...given)
          if (got) locks.push(got)
          return got
        },
      },
      sync: { announce: (document, revision) => this.#announce(id, document, revision) },
      documents: ['config', 'overrides', 'other'],
    })
    relay.start()
    onTestFinished(async () => {
      const stopping = Promise.all([relay.stop(), lock.stop()])
      await this.pass(10_000)
      await stopping
    })
    return { relay, store, lines, locks }
  }

  pass(ms: number): Promise<void> {
    return this.time.advanceAsync(ms)
  }

  async put(document: string): Promise<void> {
    const head = this.data.documents.get(document)?.history[0]
    const id = `write-${++this.#writes}`
    await this.data
      .client()
      .put(document, Buffer.from(id), head?.revision ?? null, id, { by: 'a writer that announces nothing' })
  }

  async waiting(): Promise<string[]> {
    return (await this.data.client().unannounced()).map(({ document }) => document)
  }

  async #announce(by: string, document: string, { number }: RevisionRef): Promise<void> {
    this.tried.push(document)
    if (this.busDown === true || this.busDown === document)
      throw new MillraceError('MR_STORE_UNAVAILABLE', 'the bus is away')
    if (this.hangs === document) await new Promise<never>(() => {})
    this.announced.push({ by, document, number })
    await this.afterwards()
  }
}
