/** A ZooKeeper server in memory: it answers what was sent in one go in one go, and counts. */
import { Documents } from '../../../plugins/lib/zookeeper-documents.ts'
import { storeError } from '../../../plugins/lib/zookeeper-errors.ts'
import { Tree } from '../../../plugins/lib/zookeeper-tree.ts'

export const root = '/millrace/default'
export const note = { by: 'test' }

interface Node {
  readonly data: Buffer
  readonly version: number
}

export class Ensemble {
  readonly nodes = new Map<string, Node>()
  /** What was sent, by whomever. */
  sent: string[] = []
  trips = 0
  /** Called before something is done, which waits for what it returns. */
  before: (what: string) => Promise<unknown> | undefined = () => undefined
  readonly #watched = new Map<string, Set<(path: string) => void>>()
  #queue: (() => void)[] = []

  /** A node's part of the store, with a connection of its own, and more where it connects again. */
  node() {
    const tree = new Tree('/millrace', 'default', false)
    const connect = () => this.#connection((path) => tree.fired(path))
    return { connect, connection: connect(), documents: new Documents(tree) }
  }

  /** Writes past everything, as others do. */
  write(path: string, text: string): void {
    this.#put(path, Buffer.from(text))
  }

  /** How many round trips, and what for. */
  async counted(work: () => Promise<unknown>): Promise<{ trips: number; sent: string[] }> {
    const { trips } = this
    this.sent = []
    await work()
    return { trips: this.trips - trips, sent: this.sent }
  }

  #connection(fired: (path: string) => void) {
    const ask = <T>(what: string, work: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        this.sent.push(what)
        const answer = (): void => {
          try {
            resolve(work())
          } catch (error) {
            reject(error)
          }
        }
        this.#queue.push(() => {
          const wait = this.before(what)
          if (wait) void wait.then(answer)
          else answer()
        })
        if (this.#queue.length === 1) setImmediate(() => this.#answer())
      })
    const watch = (path: string): void => {
      const watchers = this.#watched.get(path) ?? new Set<(path: string) => void>()
      this.#watched.set(path, watchers.add(fired))
    }
    return {
      sync: () => ask('sync', () => {}),
      get: (path: string, watched = false) =>
        ask(`get ${path}`, () => {
          const node = this.nodes.get(path)
          if (node && watched) watch(path)
          return node && { data: node.data, stat: this.#stat(path, node) }
        }),
      children: (path: string) => ask(`list ${path}`, () => this.#below(path)),
      create: (path: string, data: Buffer) =>
        ask(`create ${path}`, () => {
          if (this.nodes.has(path)) return false
          const parent = path.slice(0, path.lastIndexOf('/'))
          if (parent !== '' && !this.nodes.has(parent))
            throw storeError('MR_STORE_UNAVAILABLE', `create ${path}: not done: no node`)
          this.nodes.set(path, { data, version: 0 })
          return true
        }),
      set: (path: string, data: Buffer, version: number) =>
        ask(`set ${path}`, () => {
          const node = this.nodes.get(path)
          if (!node || (version !== -1 && version !== node.version)) return undefined
          return this.#stat(path, this.#put(path, data))
        }),
      remove: (path: string) =>
        ask(`delete ${path}`, () => {
          if (this.#below(path).length > 0) return false
          this.nodes.delete(path)
          return true
        }),
    } as never
  }

  #answer(): void {
    this.trips++
    const queue = this.#queue
    this.#queue = []
    for (const answer of queue) answer()
  }

  /** A watch fires before the answer to anything that is read afterwards. */
  #put(path: string, data: Buffer): Node {
    const node = { data, version: (this.nodes.get(path)?.version ?? -1) + 1 }
    this.nodes.set(path, node)
    const watchers = this.#watched.get(path) ?? []
    this.#watched.delete(path)
    for (const fired of watchers) fired(path)
    return node
  }

  #below(path: string): string[] {
    const start = `${path}/`
    const paths = [...this.nodes.keys()].filter((key) => key.startsWith(start))
    return paths.map((key) => key.slice(start.length)).filter((name) => !name.includes('/'))
  }

  #stat(path: string, { version }: Node) {
    return { version, mzxid: 0, numChildren: this.#below(path).length, mtime: new Date(0) }
  }
}
