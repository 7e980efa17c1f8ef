/** The overrides on the node's own disk: the document itself where there is no store, else what the store held last. Written
 * whole (temporary name, fsync, rename). */
import { mkdirSync, readFileSync, renameSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { noOverrides, type OverridesDocument, overridesForm } from '../config/overrides.ts'
import type { RevisionAt } from '../config/sync/state.ts'
import type { Log } from '../contracts/plugin.ts'

const fileForm = overridesForm.extend({
  /** Revision of the store. */
  at: z.strictObject({ lineage: z.string(), number: z.int(), id: z.string() }).optional(),
})

export interface KeptOverrides {
  readonly document: OverridesDocument
  /** Absent: never from a store. */
  readonly at?: RevisionAt | undefined
}

const nothing: KeptOverrides = { document: noOverrides }

export class OverridesFile {
  readonly path: string
  readonly #log: Log

  constructor(path: string, log: Log) {
    this.path = path
    this.#log = log
  }

  /** A file that cannot be used is kept aside: a start must not fail for it, and nothing is lost. */
  read(): KeptOverrides {
    const log = this.#log
    const file = this.path
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log.error('overrides cannot be read: every breaker is left to itself', { file, cause: String(error) })
      return nothing
    }
    try {
      const { at, ...document } = fileForm.parse(JSON.parse(text))
      return { document, at }
    } catch (error) {
      const aside = `${file}.broken`
      try {
        renameSync(file, aside)
      } catch {
        // It stays where it is, and is written over by the next change.
      }
      const cause = String(error)
      log.error('overrides are not valid: every breaker is left to itself', { file, aside, cause })
      return nothing
    }
  }

  /** Whole or not at all. @throws when it is not on the disk */
  async write({ document, at }: KeptOverrides): Promise<void> {
    mkdirSync(dirname(this.path), { recursive: true })
    const temporary = `${this.path}.new`
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(`${JSON.stringify({ ...document, at }, undefined, 2)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, this.path)
  }
}
