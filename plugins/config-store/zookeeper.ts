import {
  type ConfigStore,
  type Document,
  definePlugin,
  type Head,
  type Lease,
  type LeaseInfo,
  type PutResult,
  type ReadOptions,
  type RevisionRef,
  type StoreContext,
  type WatchListener,
  type WriteNote,
} from 'millrace'
import { HeldLease, Holdings } from '../lib/held-lease.ts'
import { checkLease, checkName, checkWrite } from '../lib/store-checks.ts'
import { Documents } from '../lib/zookeeper-documents.ts'
import { loadDriver } from '../lib/zookeeper-driver.ts'
import { AnswerLost } from '../lib/zookeeper-errors.ts'
import { Leases } from '../lib/zookeeper-leases.ts'
import { Link } from '../lib/zookeeper-link.ts'
import { targetOf, type ZookeeperOptions, zookeeperOptions } from '../lib/zookeeper-options.ts'
import { Tree } from '../lib/zookeeper-tree.ts'
import { Watches } from '../lib/zookeeper-watch.ts'

interface Parts {
  readonly link: Link
  readonly tree: Tree
  readonly documents: Documents
  readonly leases: Leases
  readonly watches: Watches
}

class ZookeeperStore implements ConfigStore {
  readonly #context: StoreContext
  readonly #parts: Parts
  readonly #holdings = new Holdings()

  constructor(context: StoreContext, parts: Parts) {
    this.#context = context
    this.#parts = parts
  }

  lineage(): Promise<string> {
    const { link, tree } = this.#parts
    return link.call(async (c) => (await tree.readLineage(c)) ?? tree.prepare(c))
  }

  async get(document: string, { fresh = false }: ReadOptions = {}): Promise<Document | null> {
    checkName(document)
    return this.#parts.link.call((c) => this.#parts.documents.get(c, document, fresh))
  }

  heads(prefix: string, { fresh = false }: ReadOptions = {}): Promise<readonly Head[]> {
    return this.#parts.link.call((c) => this.#parts.documents.heads(c, prefix, fresh))
  }

  async put(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): Promise<PutResult> {
    checkWrite(document, value, writeId, note)
    const write = { document, value, expect, writeId, note, at: this.#context.clock.wall() }
    const sent = { head: false }
    try {
      return await this.#parts.link.call((c) => this.#parts.documents.put(c, write, sent))
    } catch (error) {
      if (sent.head && error instanceof AnswerLost) return { status: 'unknown', cause: error }
      throw error
    }
  }

  async history(
    document: string,
    { before = Number.POSITIVE_INFINITY, limit = 100 }: { before?: number; limit?: number } = {},
  ): Promise<readonly Head[]> {
    checkName(document)
    return this.#parts.link.call((c) => this.#parts.documents.history(c, document, before, limit))
  }

  async revision(document: string, revision: RevisionRef): Promise<Document | null> {
    checkName(document)
    return this.#parts.link.call((c) => this.#parts.documents.revision(c, document, revision))
  }

  unannounced(): Promise<readonly Head[]> {
    return this.#parts.link.call((c) => this.#parts.documents.unannounced(c))
  }

  async markAnnounced(document: string, revision: RevisionRef): Promise<void> {
    checkName(document)
    await this.#parts.link.call((c) => this.#parts.documents.markAnnounced(c, document, revision))
  }

  async lease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    checkLease(name, holder, ttlMs)
    const { link, leases } = this.#parts
    const { clock, signal } = this.#context
    const givenBack = () => this.#holdings.givenBack(name)
    const taken = await link.call((c) => leases.take(c, name, holder, ttlMs, givenBack))
    if (!taken) return undefined
    const { token, sentAt } = taken
    const calls = {
      renew: async () =>
        (await link.call((c) => leases.renew(c, name, holder, ttlMs, token.number))) ?? false,
      release: () => link.call((c) => leases.release(c, name, holder, token.number)),
    }
    const holding = this.#holdings.take(name, token, clock.now())
    return new HeldLease({ name, holder, token, ttlMs }, clock, sentAt, calls, signal, holding)
  }

  leases(prefix: string): Promise<readonly LeaseInfo[]> {
    return this.#parts.link.call((c) => this.#parts.leases.list(c, prefix))
  }

  watch(prefixes: readonly string[], listener: WatchListener): { close(): void } {
    return this.#parts.watches.add(prefixes, listener)
  }
}

async function create(context: StoreContext, options: ZookeeperOptions): Promise<ConfigStore> {
  const driver = await loadDriver()
  const target = targetOf(options)
  const tree = new Tree(target.base, context.fleet, target.login !== undefined)
  const documents = new Documents(tree)
  const watches = new Watches({
    tree,
    context,
    heard: (connection, document, data) => documents.heard(connection, document, data),
    drop: (connection, error) => link.drop(connection, error),
  })
  const link = new Link({
    driver,
    context,
    target,
    limitMs: options.timeout,
    onUp: (connection) => watches.up(connection),
    onDown: () => watches.down(),
    onChange(path) {
      tree.fired(path)
      watches.fired(path)
    },
  })
  context.defer(() => {
    watches.close()
    return link.close()
  })
  link.start()
  const leases = new Leases(tree, context.clock)
  return new ZookeeperStore(context, { link, tree, documents, leases, watches })
}

/**
 * The config store in a ZooKeeper ensemble (3.6 or newer): what it has acknowledged, a majority of its servers has on the disk. A head
 * for each document points to nodes of random names; its version decides between writers. With `username` and `password` every node is
 * closed to others before anything is in it.
 *
 * Leases do not hang on sessions: each renewal is a write to a majority. Config is told of by watches. Servers go, come back and are cut
 * off without anybody's doing; docs/zookeeper.md says what to set up, and what is promised. Uses the package `zookeeper`, which is
 * compiled for the Node.js that runs it.
 */
export default definePlugin({
  api: 1,
  kind: 'config-store',
  name: 'zookeeper',
  description: 'The config store in a ZooKeeper ensemble.',
  options: zookeeperOptions,
  create,
})
