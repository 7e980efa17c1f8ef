/**
 * Documents, their history and the outbox, over one connection.
 * Over 300 lines: all that reads or writes a document goes by one head of it, and by what is known of that already.
 */
import { randomUUID } from 'node:crypto'
import {
  type Document,
  type Head,
  MillraceError,
  type PutResult,
  type Revision,
  type RevisionRef,
  type WriteNote,
} from 'millrace'
import type { Connection } from './zookeeper-connection.ts'
import { storeError } from './zookeeper-errors.ts'
import {
  documentOf,
  headAfter,
  headText,
  type Kept,
  numberOf,
  partsOf,
  placesOf,
  readHead,
  readRecord,
  recordText,
  type Stored,
  type StoredHead,
} from './zookeeper-records.ts'
import { type Found, Seen } from './zookeeper-seen.ts'
import { plainName, type Tree } from './zookeeper-tree.ts'

export interface Write {
  readonly document: string
  readonly value: Uint8Array | null
  readonly expect: RevisionRef | null
  readonly writeId: string
  readonly note: WriteNote
  readonly at: number
}

const mostTries = 20

export class Documents {
  readonly #tree: Tree
  readonly #seen = new Seen()

  constructor(tree: Tree) {
    this.#tree = tree
  }

  async get(c: Connection, document: string, fresh: boolean): Promise<Document | null> {
    const told = fresh ? undefined : this.#seen.told(c, document)
    if (told) return told
    return this.#stable(document, async (again) => {
      const { head, lineage } = await this.#find(c, document, fresh || again)
      if (!head) return null
      const parts = await this.#parts(c, document, head)
      return parts && { ...documentOf(head, parts), lineage }
    })
  }

  /**
   * A watch has read the head: whoever is told of it now, and asks at once, need not have it read again.
   * @returns its revision; undefined: it cannot be read. Whoever wanted it looks for itself, and says so
   */
  heard(c: Connection, document: string, data: Buffer): RevisionRef | undefined {
    try {
      const head = readHead(document, data)
      const lineage = this.#tree.knownLineage(c)
      if (head && lineage !== undefined && partsOf(head) === 0)
        this.#seen.tell(c, { ...documentOf(head, []), lineage })
      return head?.head.revision
    } catch (error) {
      if (error instanceof MillraceError) return undefined
      throw error
    }
  }

  async heads(c: Connection, prefix: string, fresh: boolean): Promise<Head[]> {
    const names = await this.#names(c, fresh)
    const found = await Promise.all(
      names.filter((name) => name.startsWith(prefix)).map((name) => this.#head(c, name)),
    )
    return found.flatMap((head) => (head ? [head] : [])).sort(byDocument)
  }

  /**
   * @param sent its `head` is true while the write of the head is under way: what fails then is unknown, what fails before or after
   *   is certain
   */
  async put(c: Connection, write: Write, sent: { head: boolean }): Promise<PutResult> {
    const { document, expect, writeId } = write
    const path = this.#tree.document(document)
    for (let tries = 0; tries < mostTries; tries++) {
      const guess = tries === 0 && this.#seen.head(c, document, expect, this.#tree.knownLineage(c))
      const found = guess || (await this.#find(c, document, true))
      const before = found.head
      const known = before && (await this.#known(c, before, writeId))
      if (known) return { status: 'committed', revision: known }
      const now = before?.head.revision
      if (now?.number !== expect?.number || now?.id !== expect?.id)
        return { status: 'conflict', head: before?.head ?? null }
      if (!before) await this.#begin(c, path)
      const { next, parts } = storedOf(write)
      try {
        await this.#make(c, path, next, parts)
      } catch (error) {
        // Who has written meanwhile removes what others have begun: that is a conflict.
        const { head } = await this.#find(c, document, true)
        if (head?.head.revision.id === now?.id) throw error
        continue
      }
      const { head, dropped } = headAfter(before, next)
      sent.head = true
      const stat = await c.set(path, headText(head), found.version ?? 0)
      sent.head = false
      if (stat) {
        this.#seen.note(c, document, { ...found, head, version: stat.version })
        // What is left over goes beside; where that fails, a later write finds it.
        void this.#tidy(c, path, head, dropped, stat.numChildren).catch(() => {})
        return { status: 'committed', revision: next.head.revision }
      }
      void this.#tree.remove(c, `${path}/${next.node}`).catch(() => {})
    }
    throw storeError('MR_STORE_UNAVAILABLE', `${document}: others write it all the time`)
  }

  async history(c: Connection, document: string, before: number, limit: number): Promise<Head[]> {
    const { head } = await this.#find(c, document, true)
    if (!head) return []
    const { number } = head.head.revision
    const wanted = head.kept().filter((_, index) => number - 1 - index < before)
    const withHead = number < before ? 1 : 0
    const most = Math.max(0, Math.ceil(limit))
    const older = await Promise.all(
      wanted.slice(0, Math.max(0, most - withHead)).map((kept) => this.#record(c, document, kept)),
    )
    // The oldest may have been dropped since.
    const gone = older.indexOf(undefined)
    const kept = (gone < 0 ? older : older.slice(0, gone)).flatMap((stored) => (stored ? [stored.head] : []))
    return [...(withHead ? [head.head] : []), ...kept].slice(0, most)
  }

  async revision(c: Connection, document: string, { number, id }: RevisionRef): Promise<Document | null> {
    const { head } = await this.#find(c, document, true)
    if (!head) return null
    const stored = await this.#storedAs(c, head, number, id)
    const parts = stored && (await this.#parts(c, document, stored))
    return stored && parts ? documentOf(stored, parts) : null
  }

  async unannounced(c: Connection): Promise<Head[]> {
    const names = await this.#names(c, true)
    const found = await Promise.all(
      names.map(async (name) => {
        const [head, mark] = await Promise.all([this.#head(c, name), c.get(this.#tree.mark(name))])
        return head && head.revision.number > Number(mark?.data.toString() ?? 0) ? [head] : []
      }),
    )
    return found.flat().sort(byDocument)
  }

  async markAnnounced(c: Connection, document: string, { number, id }: RevisionRef): Promise<void> {
    const { head } = await this.#find(c, document, true)
    const idThere = number === head?.head.revision.number ? head.head.revision.id : keptAs(head, number)?.id
    if (idThere !== id) return
    const path = this.#tree.mark(document)
    for (let tries = 0; tries < mostTries; tries++) {
      const mark = await c.get(path)
      if (!mark) await this.#tree.ensure(c, path)
      if (Number(mark?.data.toString() ?? 0) >= number) return
      if (await c.set(path, Buffer.from(String(number)), mark?.stat.version ?? 0)) return
    }
    throw storeError('MR_STORE_UNAVAILABLE', `${document}: others announce it all the time`)
  }

  /** @param fresh as of now, not as of when this server heard last */
  async #find(c: Connection, document: string, fresh: boolean): Promise<Found> {
    const [, begun, node] = await Promise.all([
      fresh ? c.sync(this.#tree.root) : undefined,
      this.#tree.lineage(c),
      c.get(this.#tree.document(document)),
    ])
    const version = node?.stat.version
    if (begun === undefined || !node) return { head: undefined, version, lineage: begun }
    const lineage = this.#tree.knownLineage(c)
    // It has changed in the meantime, and nobody knows which one this is of.
    if (lineage === undefined) return this.#find(c, document, fresh)
    const found = { head: readHead(document, node.data), version, lineage }
    this.#seen.note(c, document, found)
    return found
  }

  async #head(c: Connection, document: string): Promise<Head | undefined> {
    const node = await c.get(this.#tree.document(document))
    this.#seen.note(c, document)
    return node && readHead(document, node.data)?.head
  }

  async #names(c: Connection, fresh: boolean): Promise<string[]> {
    const [, lineage, nodes] = await Promise.all([
      fresh ? c.sync(this.#tree.root) : undefined,
      this.#tree.lineage(c),
      c.children(this.#tree.documents),
    ])
    return lineage === undefined ? [] : (nodes ?? []).map(plainName)
  }

  /** The revision that this write has made, if it is in the history. */
  async #known(c: Connection, head: StoredHead, writeId: string): Promise<Revision | undefined> {
    const { revision } = head.head
    if (revision.id === writeId) return revision
    const index = head.kept().findIndex(({ id }) => id === writeId)
    const stored = index < 0 ? undefined : await this.#storedAs(c, head, revision.number - 1 - index, writeId)
    return stored?.head.revision
  }

  async #storedAs(c: Connection, head: StoredHead, number: number, id: string): Promise<Stored | undefined> {
    const { document, revision } = head.head
    if (revision.number === number) return revision.id === id ? head : undefined
    const kept = keptAs(head, number)
    return kept?.id === id ? this.#record(c, document, kept) : undefined
  }

  /** Undefined: dropped since. */
  async #record(c: Connection, document: string, { node }: Kept): Promise<Stored | undefined> {
    const found = await c.get(`${this.#tree.document(document)}/${node}`)
    return found && readRecord(document, found.data)
  }

  /** The parts of its value; undefined: dropped since. */
  async #parts(c: Connection, document: string, stored: Stored): Promise<Buffer[] | undefined> {
    const path = `${this.#tree.document(document)}/${stored.node}`
    const parts = await Promise.all(
      Array.from({ length: partsOf(stored) }, (_, part) => c.get(`${path}/${part}`)),
    )
    const there = parts.flatMap((part) => (part ? [part.data] : []))
    return there.length === parts.length ? there : undefined
  }

  /** The node of a document that was never written; what that lies in, too. */
  async #begin(c: Connection, path: string): Promise<void> {
    if ((await this.#tree.lineage(c)) === undefined) await this.#tree.prepare(c)
    await this.#tree.ensure(c, path)
  }

  async #make(c: Connection, path: string, stored: Stored, parts: readonly Buffer[]): Promise<void> {
    const own = `${path}/${stored.node}`
    await Promise.all([
      this.#tree.make(c, own, recordText(stored)),
      ...parts.map((part, index) => this.#tree.make(c, `${own}/${index}`, part)),
    ])
  }

  /**
   * Removes what no head can name any more: what was dropped, and what writers left behind that lost or died. A writer makes the nodes of
   * number n+1 only when it has read a head of number n: so those of up to the head's own number, which it does not keep,
   * will not be named any more, however late their writer is. Those of the next number may be.
   */
  async #tidy(
    c: Connection,
    path: string,
    head: StoredHead,
    dropped: readonly Kept[],
    children: number,
  ): Promise<void> {
    const kept = new Set([head.node, ...head.kept().map(({ node }) => node)])
    let left = dropped.map(({ node }) => node)
    if (children > kept.size + left.length) {
      const names = (await c.children(path)) ?? []
      left = names.filter((name) => !kept.has(name) && numberOf(name) <= head.head.revision.number)
    }
    await Promise.all(left.map((name) => this.#tree.remove(c, `${path}/${name}`)))
  }

  /** Reads until what a head names was there. */
  async #stable<T>(document: string, read: (again: boolean) => Promise<T | undefined>): Promise<T> {
    for (let tries = 0; tries < mostTries; tries++) {
      const found = await read(tries > 0)
      if (found !== undefined) return found
    }
    throw storeError('MR_STORE_DATA', `the value of ${document} is missing`)
  }
}

const byDocument = (a: Head, b: Head): number => (a.document < b.document ? -1 : 1)

const keptAs = (head: StoredHead | undefined, number: number): Kept | undefined =>
  head?.kept()[head.head.revision.number - 1 - number]

/** The revision that a write makes, and the parts of its value. */
function storedOf({ document, value, expect, writeId, note, at }: Write): {
  readonly next: Stored
  readonly parts: readonly Buffer[]
} {
  const number = (expect?.number ?? 0) + 1
  const { by, message, schema = 1 } = note
  const { inline, parts } = placesOf(value)
  const head = {
    document,
    revision: { number, id: writeId, parent: expect?.id },
    tombstone: value === null,
    note: { by, message, schema },
    at,
    bytes: value?.byteLength ?? 0,
  }
  return { next: { node: `${number}-${randomUUID()}`, head, value: inline }, parts }
}
