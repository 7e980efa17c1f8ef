/** Writes to the store whose outcome is known in the end, and edits on top of whatever others write meanwhile. */
import type {
  ConfigStore,
  Document,
  Head,
  PutResult,
  Revision,
  RevisionRef,
  WriteNote,
} from '../../contracts/config-store.ts'
import type { RawClock } from '../../host/clock.ts'
import { MillraceError } from '../../host/errors.ts'
import { checkKnown, checkReaders } from './schema-gate.ts'

/** Changes that wait for their turn. Each holds a body. */
const mostWaiting = 64

/** One change after the other, so that those of one process do not overtake each other in the store. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** @throws MR_OVERLOADED when too many wait, and what `work` throws */
  async next<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting)
      throw new MillraceError('MR_OVERLOADED', 'too many changes wait for their turn; try again later')
    this.#waiting++
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    try {
      return await done
    } finally {
      this.#waiting--
    }
  }
}

export interface WriteDeps {
  readonly store: Pick<ConfigStore, 'get' | 'put' | 'leases'>
  readonly clock: Pick<RawClock, 'after'>
  /** Unique, at least 64 random bits. */
  newId(): string
}

/** How often a write of which nobody knows whether it was done is sent again. It is done once, however often it is sent. */
const sends = 4
const pauseMs = 250
/** Edits that others have overtaken. */
const mostTries = 10

/**
 * One write, sent again while its outcome is unknown.
 * @throws MR_STORE_* when nothing was written for certain; MR_STORE_SCHEMA when a node that lives could not read it
 */
export async function putSettled(
  { store, clock, newId }: WriteDeps,
  document: string,
  value: Uint8Array | null,
  expect: RevisionRef | null,
  note: WriteNote,
): Promise<PutResult> {
  await checkReaders(store, document, note)
  const writeId = newId()
  const expected = expect && { number: expect.number, id: expect.id }
  let last: PutResult = { status: 'unknown', cause: undefined }
  for (let sent = 0; sent < sends; sent++) {
    if (sent > 0) await new Promise<void>((resolve) => clock.after(pauseMs, resolve))
    try {
      last = await store.put(document, value, expected, writeId, note)
    } catch (error) {
      // The first certainly wrote nothing; after one that is unknown this says nothing of that one.
      if (sent === 0) throw error
    }
    if (last.status !== 'unknown') return last
  }
  return last
}

export interface Edit {
  readonly value: Uint8Array | null
  readonly note: WriteNote
}

export type EditResult =
  | { readonly status: 'committed'; readonly before: Document | null; readonly revision: Revision }
  /** There is nothing to write. */
  | { readonly status: 'unchanged'; readonly before: Document | null }
  /** Others have written since `before` was read, as often as it was tried. */
  | { readonly status: 'conflict'; readonly before: Document | null; readonly head: Head | null }
  | { readonly status: 'unknown'; readonly cause: unknown }

/**
 * Reads, changes, writes; begins again when another has written in between.
 * @param edit what is to be written on top of this head; undefined: nothing. What it throws ends the edit
 * @param tries default 10; 1 for a caller who expects a revision
 * @throws MR_STORE_* when nothing was written for certain; MR_STORE_DATA when a newer version has written what is there
 */
export async function editDocument(
  deps: WriteDeps,
  document: string,
  edit: (head: Document | null) => Edit | undefined | Promise<Edit | undefined>,
  tries = mostTries,
): Promise<EditResult> {
  for (let left = tries; ; left--) {
    const before = await deps.store.get(document, { fresh: true })
    checkKnown(document, before?.note)
    const wanted = await edit(before)
    if (wanted === undefined) return { status: 'unchanged', before }
    const result = await putSettled(deps, document, wanted.value, before?.revision ?? null, wanted.note)
    if (result.status === 'committed') return { ...result, before }
    if (result.status === 'unknown') return result
    if (left <= 1) return { ...result, before }
  }
}
