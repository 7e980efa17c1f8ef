/**
 * The config as the API reads and changes it: compare-and-set in the store, and nothing is written that an LB server with these
 * plugins would refuse. Changes through one desk wait for each other, so that they do not overtake themselves.
 */
import { canonical } from '../config/canonical.ts'
import type { PluginCatalog } from '../config/catalog.ts'
import { checkDynamic } from '../config/dynamic.ts'
import { editDocument, Turns } from '../config/sync/put.ts'
import { overtaken, type StoreOverridesDeps, unsettled } from '../config/sync/store-overrides.ts'
import { configDocument, configSchema, decodeConfig, encodeConfig } from '../config/sync/value.ts'
import type { Document, Revision } from '../contracts/config-store.ts'
import { MillraceError } from '../host/errors.ts'
import { ApiError } from './errors.ts'
import { checkExpectation, type Expectation, stale } from './preconditions.ts'

/** What the document holds: routes, services and filters as they were written. */
export type ConfigData = Readonly<Record<string, unknown>>

export interface ConfigAt {
  readonly head: Document
  readonly data: ConfigData
}

export interface ConfigChange {
  /** What is to be written instead. Called again when others have written in between. */
  edit(data: ConfigData): unknown
  readonly by: string
  readonly message: string | undefined
  readonly expectation: Expectation | undefined
  /** Of the whole: what was written before need not be understood. */
  readonly whole?: boolean
}

export interface ConfigChanged {
  /** Of what is there now. */
  readonly revision: Pick<Revision, 'number' | 'id' | 'parent'>
  /** 0: nothing was there. */
  readonly before: number
  readonly changed: boolean
}

export interface ConfigDeskDeps extends StoreOverridesDeps {
  /** The plugins of now. */
  catalog(): PluginCatalog
}

export class ConfigDesk {
  readonly #deps: ConfigDeskDeps
  readonly #turns = new Turns()

  constructor(deps: ConfigDeskDeps) {
    this.#deps = deps
  }

  /** @throws MR_NOT_FOUND while nothing was written, MR_STORE_* */
  async read(): Promise<ConfigAt> {
    const head = await this.#deps.store.get(configDocument, { fresh: true })
    if (head) return { head, data: dataOf(head) }
    throw new ApiError('MR_NOT_FOUND', 'the store holds no config of this fleet yet', {
      hint: 'PUT /v1/config with If-None-Match: *, or millrace config apply FILE',
    })
  }

  /** One of those that are kept. @throws MR_NOT_FOUND, MR_STORE_* */
  async revision(number: number, path = 'path.revision'): Promise<ConfigAt> {
    const { store } = this.#deps
    const [found] = await store.history(configDocument, { before: number + 1, limit: 1 })
    const isKept = found?.revision.number === number
    const document = isKept ? await store.revision(configDocument, found.revision) : null
    if (document) return { head: document, data: dataOf(document) }
    const all = await store.history(configDocument)
    const kept = all.length === 0 ? 'none' : `${all.at(-1)?.revision.number} to ${all[0]?.revision.number}`
    throw new ApiError('MR_NOT_FOUND', `revision ${number} is not kept; there is ${kept}`, { path })
  }

  /** @throws MR_REVISION_STALE, MR_CONFLICT, ConfigError, MR_STORE_*, and what `edit` throws; nothing was written then */
  change(change: ConfigChange): Promise<ConfigChanged> {
    return this.#turns.next(() => this.#change(change))
  }

  async #change({ edit, by, message, expectation, whole }: ConfigChange): Promise<ConfigChanged> {
    const { store, catalog, committed } = this.#deps
    const note = { by, message, schema: configSchema }
    const result = await editDocument(
      this.#deps,
      configDocument,
      async (head) => {
        await checkExpectation(store, configDocument, expectation, head)
        const before = head && (whole ? readable(head) : dataOf(head))
        const after = edit(before ?? {})
        await checkDynamic(after, 'the config', catalog())
        const isSame = before !== null && head?.tombstone === false && canonical(before) === canonical(after)
        return isSame ? undefined : { value: encodeConfig(after), note }
      },
      expectation && expectation.kind !== 'something' ? 1 : undefined,
    )
    if (result.status === 'unknown') throw unsettled(configDocument, result.cause)
    const before = result.before?.revision
    if (result.status === 'committed') {
      committed?.(configDocument, result.revision)
      return { revision: result.revision, before: before?.number ?? 0, changed: true }
    }
    if (result.status === 'unchanged' && before)
      return { revision: before, before: before.number, changed: false }
    if (result.status === 'conflict' && expectation)
      throw await stale(store, configDocument, expectation, result.head)
    throw overtaken(configDocument)
  }
}

/** What a revision holds. @throws MR_STORE_DATA */
function dataOf({ value, note }: Document): ConfigData {
  const data = decodeConfig(value, note.schema ?? 1)
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as ConfigData
  throw new MillraceError('MR_STORE_DATA', 'the config in the store is no map; PUT /v1/config replaces it')
}

/** `null`: not to be understood, and so replaced. (A newer version's config does not come so far.) */
function readable(head: Document): ConfigData | null {
  try {
    return dataOf(head)
  } catch {
    return null
  }
}
