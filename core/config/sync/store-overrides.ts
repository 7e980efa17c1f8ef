/** The `overrides` document in the store: read and changed. */
import type { ConfigStore, Document, RevisionRef } from '../../contracts/config-store.ts'
import { MillraceError } from '../../host/errors.ts'
import { canonical } from '../canonical.ts'
import {
  decodeOverrides,
  encodeOverrides,
  type OverridesDocument,
  overridesDocument,
  overridesSchema,
  withoutEnded,
} from '../overrides.ts'
import { type EditResult, editDocument, Turns, type WriteDeps } from './put.ts'
import { checkKnown } from './schema-gate.ts'

export interface StoreOverridesDeps extends WriteDeps {
  readonly store: ConfigStore
  readonly clock: WriteDeps['clock'] & { wall(): number }
  /** The fleet is to be told. */
  committed?(document: string, revision: RevisionRef): void
}

/** A change of them. */
export interface OverridesChange {
  readonly edit: (document: OverridesDocument) => OverridesDocument
  readonly by: string
  readonly message: string
  /** Throws when the head is not what the caller expects, who then has one try. */
  expect?(head: Document | null): void | Promise<void>
}

export class StoreOverrides {
  readonly #deps: StoreOverridesDeps
  readonly #turns = new Turns()

  constructor(deps: StoreOverridesDeps) {
    this.#deps = deps
  }

  /**
   * What is in force now: without what has ended.
   * @throws MR_STORE_*
   */
  async read(): Promise<{ readonly document: OverridesDocument; readonly head: Document | null }> {
    const head = await this.#deps.store.get(overridesDocument, { fresh: true })
    return { document: this.#documentOf(head), head }
  }

  /**
   * Compare-and-set; without an expectation again and again, on top of what others write. What has ended is taken out with it.
   * @throws MR_STORE_*, MR_CONFLICT, and what `edit` and `expect` throw; nothing was written then
   */
  async change(change: OverridesChange): Promise<Extract<EditResult, { status: 'committed' | 'unchanged' }>> {
    const { edit, by, message, expect } = change
    const note = { by: by.slice(0, 200), message: message.slice(0, 1000), schema: overridesSchema }
    const write = async (head: Document | null) => {
      await expect?.(head)
      const before = this.#documentOf(head)
      const after = edit(before)
      return canonical(after) === canonical(before) ? undefined : { value: encodeOverrides(after), note }
    }
    const tries = expect ? 1 : undefined
    const result = await this.#turns.next(() => editDocument(this.#deps, overridesDocument, write, tries))
    if (result.status === 'committed') this.#deps.committed?.(overridesDocument, result.revision)
    if (result.status === 'committed' || result.status === 'unchanged') return result
    throw result.status === 'conflict'
      ? overtaken(overridesDocument)
      : unsettled(overridesDocument, result.cause)
  }

  #documentOf(head: Document | null): OverridesDocument {
    checkKnown(overridesDocument, head?.note)
    const document = decodeOverrides(head?.value ?? null, head?.revision.number ?? 0)
    return withoutEnded(document, this.#deps.clock.wall())
  }
}

export function overtaken(document: string): MillraceError {
  const message = `others keep writing ${document}, and this change came too late each time: nothing was changed; try again`
  return new MillraceError('MR_CONFLICT', message)
}

export function unsettled(document: string, cause: unknown): MillraceError {
  const message = `the store did not answer: nobody knows whether ${document} was written; read it before trying again`
  return new MillraceError('MR_STORE_UNAVAILABLE', message, { cause })
}
