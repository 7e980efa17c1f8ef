/**
 * What was read of documents a moment ago, so that it is not read once more. It decides nothing: a write is decided by the version of the
 * node, and what is told is what the server has just said.
 */
import type { Document, RevisionRef } from 'millrace'
import type { Connection } from './zookeeper-connection.ts'
import type { StoredHead } from './zookeeper-records.ts'

/** A document as it was found. */
export interface Found {
  readonly head: StoredHead | undefined
  /** Of its node; undefined: there is none. */
  readonly version: number | undefined
  /** Of the store; undefined: nothing was begun there. */
  readonly lineage: string | undefined
}

interface Told {
  readonly connection: Connection
  readonly document: Document
}

/** Documents whose heads are remembered: those that this node writes are few. */
const mostHeads = 8

export class Seen {
  readonly #heads = new Map<string, Found & { readonly connection: Connection }>()
  readonly #told = new Map<string, Told>()

  /** It was read, or written; undefined: by somebody who needs no head. */
  note(connection: Connection, document: string, found?: Found): void {
    // Of two answers the later one is the newer.
    this.#told.delete(document)
    if (!found?.head) return
    this.#heads.delete(document)
    const { value: _value, ...head } = found.head
    this.#heads.set(document, { ...found, head, connection })
    for (const oldest of this.#heads.keys()) {
      if (this.#heads.size <= mostHeads) break
      this.#heads.delete(oldest)
    }
  }

  /**
   * The head that a writer expects, if it is the one that was seen last. Others may have written since: then its version is another.
   * @param lineage as it is now: in another, the same version says nothing
   */
  head(
    connection: Connection,
    document: string,
    expect: RevisionRef | null,
    lineage: string | undefined,
  ): Found | undefined {
    const found = this.#heads.get(document)
    const { number, id } = found?.head?.head.revision ?? {}
    if (found?.connection !== connection || lineage === undefined || found.lineage !== lineage)
      return undefined
    return number === expect?.number && id === expect?.id ? found : undefined
  }

  /** A watch has read it. Whoever is woken by that, and asks at once, has it from here; it is not kept longer than this turn of the loop. */
  tell(connection: Connection, document: Document): void {
    const told = { connection, document }
    this.#told.set(document.document, told)
    setImmediate(() => {
      if (this.#told.get(document.document) === told) this.#told.delete(document.document)
    })
  }

  told(connection: Connection, document: string): Document | undefined {
    const told = this.#told.get(document)
    return told?.connection === connection ? told.document : undefined
  }
}
