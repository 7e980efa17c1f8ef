/**
 * Leases on ZooKeeper, without sessions. A session lives as long as its server hears pings, which a server that is cut off from the
 * others goes on answering; and when its client closes, what hangs on it is gone at once, although the holder may still be acting. So a
 * lease is a node that stays: each renewal is a write to it, for which a majority is needed, and others may have it when it
 * has not been written for its time to live.
 *
 * How long that is, each who wants it finds out by its own monotonic clock, from when it first saw that write. Who has just begun may
 * take the word of the ensemble's leader for what must have been over long ago, if it is the leader that has dated that write: clocks of
 * two are not compared. The node's version decides between all of them. It is never removed: versions would begin again, and
 * a holder that was stopped could renew what has become another's.
 *
 * The token is the transaction number (zxid) of a write made for it: `czxid` of the lease node would stay the same, as it does.
 */
import type { Clock, LeaseInfo } from 'millrace'
import type { Connection, Node } from './zookeeper-connection.ts'
import { storeError } from './zookeeper-errors.ts'
import { objectIn, plainName, type Tree } from './zookeeper-tree.ts'

interface Held {
  readonly holder: string
  readonly token: number
  /** The longest that any of its owners was promised. */
  readonly ttlMs: number
}

export interface Taken {
  readonly token: { readonly lineage: string; readonly number: number }
  /** `clock.now()` from before the write was sent. */
  readonly sentAt: number
}

/** Lets the clock of the ensemble's leader be set by so much. */
const wallSlackMs = 60_000
/** The upper half of a transaction's number is the epoch: each leader has one of its own. */
const epochOf = (zxid: number): number => Math.floor(zxid / 2 ** 32)
/** Names of which it is remembered when they were written. */
const mostSeen = 10_000
const mostTries = 20
const empty = Buffer.alloc(0)

export class Leases {
  readonly #tree: Tree
  readonly #clock: Clock
  /** By name: the last write that was seen, and when it was seen first. */
  readonly #seen = new Map<string, { readonly zxid: number; readonly since: number }>()

  constructor(tree: Tree, clock: Clock) {
    this.#tree = tree
    this.#clock = clock
  }

  /**
   * @param givenBack a token that the holder has released, though that may not have arrived: it does not come back
   * @returns undefined when another holds it
   */
  async take(
    c: Connection,
    name: string,
    holder: string,
    ttlMs: number,
    givenBack: () => number | undefined = () => undefined,
  ): Promise<Taken | undefined> {
    const path = this.#tree.lease(name)
    for (let tries = 0; tries < mostTries; tries++) {
      const [, known, node] = await Promise.all([c.sync(this.#tree.root), this.#tree.lineage(c), c.get(path)])
      const lineage = known ?? (await this.#tree.prepare(c))
      if (!node) {
        await this.#tree.ensure(c, path)
        continue
      }
      const held = heldIn(name, node)
      const mine = held?.holder === holder
      if (held && !mine && !(await this.#isOver(c, name, node, held, true))) return undefined
      // Taken again it is the same, and not shorter for those who had it before.
      const same = mine && held.token !== givenBack()
      const number = same ? held.token : (await this.#tick(c)).mzxid
      const next: Held = { holder, token: number, ttlMs: same ? Math.max(held.ttlMs, ttlMs) : ttlMs }
      const sentAt = this.#clock.now()
      if (!(await c.set(path, textOf(next), node.stat.version))) continue
      // Released while this was on its way: that may find the old token, and end what was just taken.
      if (same && number === givenBack()) continue
      return { token: { lineage, number }, sentAt }
    }
    throw storeError('MR_STORE_UNAVAILABLE', `lease ${name}: others write it all the time`)
  }

  /** @returns when the write was sent; undefined: it is not theirs any more */
  async renew(
    c: Connection,
    name: string,
    holder: string,
    ttlMs: number,
    token: number,
  ): Promise<number | undefined> {
    for (let tries = 0; tries < mostTries; tries++) {
      const mine = await this.#mine(c, name, holder, token)
      if (!mine) return undefined
      const sentAt = this.#clock.now()
      const next = { ...mine.held, ttlMs: Math.max(mine.held.ttlMs, ttlMs) }
      if (await c.set(this.#tree.lease(name), textOf(next), mine.version)) return sentAt
    }
    throw storeError('MR_STORE_UNAVAILABLE', `lease ${name}: others write it all the time`)
  }

  async release(c: Connection, name: string, holder: string, token: number): Promise<void> {
    for (let tries = 0; tries < mostTries; tries++) {
      const mine = await this.#mine(c, name, holder, token)
      if (!mine || (await c.set(this.#tree.lease(name), empty, mine.version))) return
    }
  }

  async list(c: Connection, prefix: string): Promise<LeaseInfo[]> {
    const [, lineage, nodes = []] = await Promise.all([
      c.sync(this.#tree.root),
      this.#tree.lineage(c),
      c.children(this.#tree.leases),
    ])
    if (lineage === undefined) return []
    const found = await Promise.all(
      nodes
        .map(plainName)
        .filter((name) => name.startsWith(prefix))
        .map(async (name): Promise<LeaseInfo[]> => {
          const node = await c.get(this.#tree.lease(name))
          const held = node && heldIn(name, node)
          if (!held || (await this.#isOver(c, name, node, held, false))) return []
          return [{ name, holder: held.holder, token: { lineage, number: held.token } }]
        }),
    )
    return found.flat().sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #mine(
    c: Connection,
    name: string,
    holder: string,
    token: number,
  ): Promise<{ readonly held: Held; readonly version: number } | undefined> {
    const [, node] = await Promise.all([c.sync(this.#tree.root), c.get(this.#tree.lease(name))])
    const held = node && heldIn(name, node)
    if (!held || held.token !== token || held.holder !== holder) return undefined
    return { held, version: node.stat.version }
  }

  /**
   * Whether it was not written for so long that its holder knows that it is over.
   * @param wanted by who asks, and not only listed
   */
  async #isOver(c: Connection, name: string, node: Node, { ttlMs }: Held, wanted: boolean): Promise<boolean> {
    const { stat, data } = node
    const now = this.#clock.now()
    const seen = this.#seen.get(name)
    const since = seen?.zxid === stat.mzxid ? seen.since : now
    if (now - since >= ttlMs) return true
    this.#see(name, stat.mzxid, since)
    // Of somebody who died long before this process began: it need not wait as well. The clock of this machine only spares the leader
    // being asked.
    const long = Number(stat.mtime) + ttlMs + wallSlackMs
    if (this.#clock.wall() <= long) return false
    const { mzxid, mtime } = await this.#tick(c)
    if (epochOf(mzxid) === epochOf(stat.mzxid)) return Number(mtime) > long
    if (!wanted) return false
    // Another leader has dated it. The one of now dates it anew: for its holder that changes nothing, and others wait no shorter.
    const dated = await c.set(this.#tree.lease(name), data, stat.version)
    if (dated) this.#see(name, dated.mzxid, since)
    return false
  }

  #see(name: string, zxid: number, since: number): void {
    if (this.#seen.size >= mostSeen && !this.#seen.has(name))
      this.#seen.delete(this.#seen.keys().next().value as string)
    this.#seen.set(name, { zxid, since })
  }

  /** A write that nobody waits for: its number is greater than all before, its time that of the leader. */
  async #tick(c: Connection): Promise<{ readonly mzxid: number; readonly mtime: Date }> {
    const stat = await c.set(this.#tree.leases, empty, -1)
    if (!stat) throw storeError('MR_STORE_UNAVAILABLE', `${this.#tree.leases} was removed`)
    return stat
  }
}

const textOf = ({ holder, token, ttlMs }: Held): Buffer =>
  Buffer.from(JSON.stringify({ holder, token, ttlMs }))

/** Undefined: nobody has it. @throws MR_STORE_DATA */
function heldIn(name: string, { data }: Node): Held | undefined {
  if (data.length === 0) return undefined
  const { holder, token, ttlMs } = objectIn(data) ?? {}
  if (typeof holder !== 'string' || !Number.isSafeInteger(token) || typeof ttlMs !== 'number')
    throw storeError('MR_STORE_DATA', `the lease ${name} cannot be read`)
  return { holder, token: token as number, ttlMs }
}
