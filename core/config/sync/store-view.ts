/** Reads the head of the store together with the lineage that it is of, and counts what that costs. */
import type { ConfigStore, Document } from '../../contracts/config-store.ts'
import { MillraceError } from '../../host/errors.ts'
import type { RevisionAt } from './state.ts'
import { configDocument } from './value.ts'

/** The head and where it stands; `null`: there is no config. */
export type View = { readonly document: Document; readonly at: RevisionAt } | null

const tries = 4

export class StoreView {
  readonly #store: ConfigStore
  readonly #name: string
  #lineage: string | undefined
  /** Calls of the store so far. */
  reads = 0

  /** @param name of the document */
  constructor(store: ConfigStore, name: string = configDocument) {
    this.#store = store
    this.#name = name
  }

  readonly history: ConfigStore['history'] = (document, options) => {
    this.reads++
    return this.#store.history(document, options)
  }

  readonly revision: ConfigStore['revision'] = (document, revision) => {
    this.reads++
    return this.#store.revision(document, revision)
  }

  /** Whether the head is this one. Reads no value. */
  async isHead(at: RevisionAt, fresh: boolean): Promise<boolean> {
    this.reads++
    const heads = await this.#store.heads(this.#name, { fresh })
    const head = heads.find(({ document }) => document === this.#name)
    if (head?.revision.id !== at.id || head.revision.number !== at.number) return false
    return !fresh || (await this.#readLineage()) === at.lineage
  }

  /** Where the store does not tell the lineage with the document, it may be replaced between two reads: the lineage is the same
   * before and after. */
  async head(fresh: boolean): Promise<View> {
    for (let left = tries; left > 0; left--) {
      this.reads++
      const document = await this.#store.get(this.#name, { fresh })
      if (!document) return null
      const { number, id } = document.revision
      if (document.lineage !== undefined) {
        this.#lineage = document.lineage
        return { document, at: { lineage: document.lineage, number, id } }
      }
      const before = this.#lineage
      const lineage = await this.#readLineage()
      if (before === lineage) return { document, at: { lineage, number, id } }
    }
    throw new MillraceError('MR_STORE_UNAVAILABLE', 'the lineage of the store changes while it is read')
  }

  async #readLineage(): Promise<string> {
    this.reads++
    this.#lineage = await this.#store.lineage()
    return this.#lineage
  }
}
