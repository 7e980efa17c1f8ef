/** What was announced lately, by document. */
import type { News } from './wire.ts'

/** Revisions of one document, and documents, that are remembered. */
const perDocument = 4
const mostDocuments = 1000

/**
 * Of each document the announcements with the latest stamps. Which they are does not depend on the order in which they were heard, so
 * all nodes end with the same ones, and nothing goes round for ever. A revision may be announced again, and a lower one after a
 * higher: after a fork it counts from lower numbers, and is news all the same.
 */
export class Bulletin {
  readonly #documents = new Map<string, News[]>()

  /** False: known, or older than what is remembered. */
  add(news: News): boolean {
    const list = this.#documents.get(news.document) ?? []
    const known = list.find(({ number, id }) => number === news.number && id === news.id)
    if (known && known.stamp >= news.stamp) return false
    const oldest = list.at(-1)
    if (!known && list.length === perDocument && oldest && order(oldest, news) < 0) return false
    const kept = [...list.filter((each) => each !== known), news].sort(order).slice(0, perDocument)
    this.#documents.delete(news.document)
    this.#documents.set(news.document, kept)
    if (this.#documents.size > mostDocuments)
      this.#documents.delete(this.#documents.keys().next().value as string)
    return true
  }

  /** For an announcement now: later than all that this node has heard of the document. */
  stamp(document: string, nowWall: number): number {
    return Math.max(Math.floor(nowWall), (this.#documents.get(document)?.[0]?.stamp ?? 0) + 1)
  }

  all(): News[] {
    return [...this.#documents.values()].flat()
  }
}

/** The latest first; of the same stamp in an order that all agree on. */
function order(a: News, b: News): number {
  return b.stamp - a.stamp || b.number - a.number || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}
