/**
 * Takes revisions into use: a config that is wrong never replaces one that is good. What was refused is remembered, so that a
 * bad head is not tried again with each look at it.
 */
import type { ConfigStore, Document } from '../../contracts/config-store.ts'
import type { Log } from '../../contracts/plugin.ts'
import { type ErrorCode, MillraceError } from '../../host/errors.ts'
import type { LastKnownGood, SavedConfig } from './last-known-good.ts'
import { type Nack, type RevisionAt, revisionText, sameRevision, type UseResult } from './state.ts'
import { configDocument, decodeConfig } from './value.ts'

export interface AdopterDeps {
  readonly store: Pick<ConfigStore, 'history' | 'revision'>
  readonly log: Log
  readonly lastGood: LastKnownGood
  wall(): number
  /**
   * Validates a config and brings it to all threads, or to none.
   * @param data parsed, not yet checked
   * @param origin where it comes from, as problems name it
   */
  use(data: unknown, origin: string): Promise<UseResult>
}

type Value = Pick<Document, 'value' | 'note'>
type Problems = Extract<UseResult, { status: 'refused' }>['problems']

/** This node's own trouble: says nothing against the config, and may be over soon. */
const passing: readonly ErrorCode[] = ['MR_THREAD', 'MR_LISTEN']
/** A config may be what ends the threads that take it: not for ever. */
const threadTries = 3
/** More than a store has to keep of history. */
const refusedKept = 256
const walkPage = 20

export class Adopter {
  readonly #deps: AdopterDeps
  readonly #refused = new Set<string>()
  readonly #tries = new Map<string, number>()
  #applied: RevisionAt | undefined
  /** Counts forks that were followed: numbers compare only in what has grown since. */
  #branch = 0
  #appliedBranch = 0
  from: 'store' | 'last-known-good' | undefined
  nack: Nack | undefined
  lastNack = 0
  notKept: string | undefined

  constructor(deps: AdopterDeps) {
    this.#deps = deps
  }

  get applied(): RevisionAt | undefined {
    return this.#applied
  }

  /** The store is followed although it does not go on from what is served. */
  startBranch(): void {
    this.#branch++
  }

  /** What was refused may be right now: the plugins have changed. */
  forgive(): void {
    this.#refused.clear()
    this.#tries.clear()
  }

  /**
   * Takes the head of the store, or the newest one before it that can be used.
   * @returns false: to be tried again, this node was in no state to take it
   * @throws MR_STORE_* when history has to be read and cannot; to be called again
   */
  async adopt(at: RevisionAt, head: Value): Promise<boolean> {
    if (sameRevision(this.#applied, at)) {
      this.#appliedBranch = this.#branch
      this.from = 'store'
      this.nack = undefined
      return true
    }
    if (!this.#refused.has(at.id)) {
      const problems = await this.#try(at, head)
      if (problems.length === 0) {
        this.#taken(at, 'store')
        this.nack = undefined
        return true
      }
      this.#nack(at, problems)
      if (!this.#isFinal(at, problems)) return false
    }
    return await this.#walkBack(at)
  }

  /**
   * The first of what was kept that can be used.
   * @returns false: none, and to be tried again, for what stood in the way may be over soon
   */
  async adoptSaved(saved: readonly SavedConfig[]): Promise<boolean> {
    let isFinal = true
    for (const { revision, schema, value } of saved) {
      const problems = await this.#use(revision, { value, note: { by: '', schema } }, 'the last-known-good')
      if (problems.length === 0) {
        this.#taken(revision, 'last-known-good')
        return true
      }
      this.#nack(revision, problems)
      if (this.#mayPass(revision, problems)) isFinal = false
    }
    return isFinal
  }

  /** Back to the newest that can be used, and never behind what is served. */
  async #walkBack(head: RevisionAt): Promise<boolean> {
    const floor = this.#applied && this.#appliedBranch === this.#branch ? this.#applied.number : 0
    const { log, store } = this.#deps
    for (let before = head.number; before > floor + 1; ) {
      const page = await store.history(configDocument, { before, limit: walkPage })
      for (const { revision } of page) {
        const at = { lineage: head.lineage, number: revision.number, id: revision.id }
        if (at.number <= floor) return true
        if (this.#refused.has(at.id)) continue
        const found = await store.revision(configDocument, at)
        if (!found) return true
        const problems = await this.#try(at, found)
        if (problems.length === 0) {
          log.warn(
            `config: ${revisionText(at)} is served, the newest before ${revisionText(head)} that is right`,
          )
          this.#taken(at, 'store')
          return true
        }
        if (!this.#isFinal(at, problems)) return false
      }
      const last = page.at(-1)
      if (last === undefined) return true
      before = last.revision.number
    }
    return true
  }

  async #try(at: RevisionAt, value: Value): Promise<Problems> {
    const problems = await this.#use(at, value, 'the store')
    if (problems.length === 0) await this.#keep({ revision: at, schema: schemaOf(value), value: value.value })
    return problems
  }

  async #use(at: RevisionAt, value: Value, place: string): Promise<Problems> {
    try {
      const data = decodeConfig(value.value, schemaOf(value))
      const result = await this.#deps.use(data, `config ${revisionText(at)} of ${place}`)
      return result.status === 'used' ? [] : result.problems
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : 'MR_CONFIG_INVALID'
      return [{ code, message: error instanceof Error ? error.message : String(error) }]
    }
  }

  /** Whether it is to be tried again. Counts the tries. */
  #mayPass(at: RevisionAt, problems: Problems): boolean {
    const tries = (this.#tries.get(at.id) ?? 0) + 1
    this.#tries.set(at.id, tries)
    const isPassing = problems.every(({ code }) => passing.includes(code))
    const isThreads = problems.some(({ code }) => code === 'MR_THREAD')
    return isPassing && !(isThreads && tries >= threadTries)
  }

  /** Remembers what need not be tried again. */
  #isFinal(at: RevisionAt, problems: Problems): boolean {
    if (this.#mayPass(at, problems)) return false
    this.#refused.add(at.id)
    for (const old of this.#refused) {
      if (this.#refused.size <= refusedKept) break
      this.#refused.delete(old)
    }
    return true
  }

  #taken(at: RevisionAt, from: 'store' | 'last-known-good'): void {
    this.#applied = at
    this.#appliedBranch = this.#branch
    this.from = from
    this.#tries.clear()
    this.#deps.log.info(`config: ${revisionText(at)} is served`, { ...at, from, branch: this.#branch })
  }

  #nack(at: RevisionAt, problems: Problems): void {
    const reason = problems.map(({ code, message }) => `${code} ${message}`).join('\n')
    const code = problems[0].code
    this.nack = { ...at, code, reason, at: this.#deps.wall() }
    this.lastNack = at.number
    const stays = this.#applied ? `${revisionText(this.#applied)} stays` : 'nothing is served yet'
    this.#deps.log.error(`config: ${revisionText(at)} is refused, ${stays}\n${reason}`, { ...at, code })
  }

  async #keep(config: SavedConfig): Promise<void> {
    try {
      await this.#deps.lastGood.save(config)
      this.notKept = undefined
    } catch (error) {
      this.notKept = error instanceof Error ? error.message : String(error)
      const message = `config: last-known-good cannot be kept; a restart without the store would serve an older one: ${this.notKept}`
      this.#deps.log.error(message, { code: 'MR_CONFIG_FILE' })
    }
  }
}

const schemaOf = ({ note }: Value): number => note.schema ?? 1
