/**
 * Where things lie in the ensemble, and who may read and change them.
 *
 * - `BASE/FLEET`: `{"format":1,"lineage":"…"}`; the rest is there before this is written
 * - `…/documents/NAME`: the head, with the names of the revisions that are kept, and its value where that is short (zookeeper-records.ts).
 *   Each revision is a node in it of a random name: its record, with the value where that is short; else the parts of that are in it
 * - `…/announced/NAME`: the number that was announced last. Not in the head: who waits for changes of that is not to be woken
 * - `…/leases/NAME`: who holds it; empty while nobody does. `…/leases` itself is written for each new token
 *
 * In names a colon stands for the slash.
 */
import { randomUUID } from 'node:crypto'
import type { Connection } from './zookeeper-connection.ts'
import type { Acl } from './zookeeper-driver.ts'
import { storeError } from './zookeeper-errors.ts'

const format = 1
const allRights = 31
/** Whoever is logged in when it is set. */
const ownerOnly: readonly Acl[] = [{ perms: allRights, scheme: 'auth', auth: '' }]
const empty = Buffer.alloc(0)
const mostTries = 10

/** Of a document or lease. ZooKeeper takes `.` and `..` for directions. */
const nodeName = (name: string): string =>
  name === '.' || name === '..' ? `:${name}` : name.replaceAll('/', ':')

export const plainName = (node: string): string =>
  node.startsWith(':') ? node.slice(1) : node.replaceAll(':', '/')

export class Tree {
  readonly root: string
  readonly documents: string
  readonly leases: string
  readonly #announced: string
  readonly #base: string
  readonly #acl: readonly Acl[] | undefined
  /** As it was read over each connection, with a watch: until that fires it is the same. */
  #lineages = new WeakMap<Connection, string>()
  /** Counts how often such a watch has fired. */
  #changes = 0

  /** @param guarded only who is logged in as we are may read and change it */
  constructor(base: string, fleet: string, guarded: boolean) {
    this.#base = base
    this.#acl = guarded ? ownerOnly : undefined
    this.root = `${base}/${fleet}`
    this.documents = `${this.root}/documents`
    this.leases = `${this.root}/leases`
    this.#announced = `${this.root}/announced`
  }

  document(name: string): string {
    return `${this.documents}/${nodeName(name)}`
  }

  /** What of the document is announced. */
  mark(name: string): string {
    return `${this.#announced}/${nodeName(name)}`
  }

  lease(name: string): string {
    return `${this.leases}/${nodeName(name)}`
  }

  /** Read now. @returns undefined where nothing was begun yet. @throws MR_STORE_DATA */
  async readLineage(connection: Connection): Promise<string | undefined> {
    const changes = this.#changes
    const node = await connection.get(this.root, true)
    if (!node || node.data.length === 0) return undefined
    const lineage = this.#lineageIn(node.data)
    // What has changed since was told since.
    if (changes === this.#changes) this.#lineages.set(connection, lineage)
    return lineage
  }

  /** Not read again while it is {@link knownLineage}: for use beside something that is read. */
  async lineage(connection: Connection): Promise<string | undefined> {
    return this.#lineages.get(connection) ?? (await this.readLineage(connection))
  }

  /**
   * Of whatever was read over this connection before this call: that the lineage has changed is told before anything is answered that was
   * written after it, https://zookeeper.apache.org/doc/r3.8.0/zookeeperProgrammers.html#sc_WatchGuarantees
   * @returns undefined: not known, or another since
   */
  knownLineage(connection: Connection): string | undefined {
    return this.#lineages.get(connection)
  }

  /** A watch has fired. */
  fired(path: string): void {
    if (path !== this.root) return
    this.#changes++
    this.#lineages = new WeakMap()
  }

  /** Begins it, where nobody has. @returns the lineage */
  async prepare(connection: Connection): Promise<string> {
    // Where it is there, we need not be allowed to make it.
    for (const path of pathsTo(this.#base))
      if (!(await connection.get(path))) await connection.create(path, empty)
    for (const path of [this.root, this.documents, this.#announced, this.leases])
      await this.ensure(connection, path)
    const first = Buffer.from(JSON.stringify({ format, lineage: randomUUID() }))
    for (let tries = 0; tries < mostTries; tries++) {
      const node = await connection.get(this.root)
      if (node && node.data.length > 0) return this.#lineageIn(node.data)
      await connection.set(this.root, first, node?.stat.version ?? 0)
    }
    throw storeError('MR_STORE_UNAVAILABLE', `${this.root} is removed again and again`)
  }

  /** An empty node, unless it is there. */
  async ensure(connection: Connection, path: string): Promise<void> {
    const created = connection.create(path, empty)
    await (this.#acl ? Promise.all([created, connection.protect(path, this.#acl)]) : created)
  }

  /**
   * A node that nobody else makes. The package creates nodes that are open to all: so where access is restricted it is created
   * empty, then closed, then written, all sent in one go. If anybody was faster than that, it fails.
   */
  async make(connection: Connection, path: string, data: Buffer): Promise<void> {
    const steps = this.#acl
      ? [
          connection.create(path, empty),
          connection.protect(path, this.#acl),
          connection.set(path, data, 0).then((stat) => stat !== undefined),
        ]
      : [connection.create(path, data)]
    const done = await Promise.all(steps)
    if (done.includes(false))
      throw storeError(
        'MR_STORE_UNAVAILABLE',
        `${path}: somebody else has made or changed it; nothing is written`,
      )
  }

  /** With all that is in it. */
  async remove(connection: Connection, path: string): Promise<void> {
    if (await connection.remove(path)) return
    const names = (await connection.children(path)) ?? []
    // The server takes them in this order.
    await Promise.all([...names.map((name) => connection.remove(`${path}/${name}`)), connection.remove(path)])
  }

  #lineageIn(data: Buffer): string {
    const found = objectIn(data)
    if (found?.format !== undefined && found.format !== format)
      throw storeError(
        'MR_STORE_DATA',
        `${this.root} has format ${JSON.stringify(found.format)}, expected ${format}: a newer version wrote it`,
      )
    if (found?.format === undefined || typeof found.lineage !== 'string')
      throw storeError('MR_STORE_DATA', `${this.root} holds what is not ours`)
    return found.lineage
  }
}

/** `/a/b` → `/a`, `/a/b`. */
function pathsTo(path: string): string[] {
  const segments = path.split('/').slice(1)
  return segments.map((_, index) => `/${segments.slice(0, index + 1).join('/')}`)
}

/** Undefined: no JSON object. */
export function objectIn(data: Buffer): Readonly<Record<string, unknown>> | undefined {
  const value = jsonIn(data)
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

/** Undefined: no JSON. */
export function jsonIn(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString())
  } catch {
    return undefined
  }
}
