/**
 * What operators have decided about breakers, apart from the config: the `overrides` document (design.md §7). It takes effect
 * through the shared table, without a snapshot, and lies in a file under `node.data`, so that a restart does not forget it.
 */
import { mkdirSync, readFileSync, renameSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { Clock, Log, Timer } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { BreakerDecision } from '../observe/breaker-routes.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import { forced, type SharedTable } from './table.ts'

const hour = 3_600_000

const breakerRecord = z.strictObject({
  service: z.string(),
  /** URL; absent: every backend of the service. One for a backend comes before one for its service. */
  backend: z.string().optional(),
  /** `auto`: what the breaker says; only where it undoes a record of the service for one backend. */
  mode: z.enum(['auto', 'open', 'closed']),
  reason: z.string(),
  actor: z.string(),
  /** When it was decided, and when it ends by itself. ISO 8601. */
  since: z.iso.datetime(),
  until: z.iso.datetime().optional(),
})
const documentSchema = z.strictObject({
  schema: z.literal(1),
  /** Counts up with each change. */
  revision: z.int().min(0),
  breakers: z.array(breakerRecord),
})

export type BreakerRecord = z.output<typeof breakerRecord>
export type OverridesDocument = z.output<typeof documentSchema>

const empty: OverridesDocument = { schema: 1, revision: 0, breakers: [] }

export interface OverridesDeps {
  /** Where the document lies. */
  readonly directory: string
  readonly table: SharedTable
  readonly clock: Pick<Clock, 'after' | 'wall'>
  readonly log: Log
  services(): Iterable<PlacedService>
}

export class Overrides {
  readonly #deps: OverridesDeps
  readonly #file: string
  #document = empty
  #timer: Timer | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(deps: OverridesDeps) {
    this.#deps = deps
    this.#file = join(deps.directory, 'overrides.json')
    this.#document = this.#read()
    this.#awaitEnd()
  }

  get document(): OverridesDocument {
    return this.#document
  }

  /** What is in force for a backend; undefined: its own breaker. */
  recordFor(service: string, url: string): BreakerRecord | undefined {
    let found: BreakerRecord | undefined
    for (const record of this.#document.breakers) {
      if (record.service !== service) continue
      if (record.backend === url) return record
      if (record.backend === undefined) found = record
    }
    return found
  }

  /**
   * Decides, after the file holds it.
   * @throws MR_SERVICE_UNKNOWN, MR_OVERRIDE when there is no such backend or the end has passed
   */
  async set({ lastsMs, ...decision }: BreakerDecision): Promise<OverridesDocument> {
    this.#check(decision)
    const now = this.#deps.clock.wall()
    const record =
      lastsMs === undefined ? decision : { ...decision, until: new Date(now + lastsMs).toISOString() }
    if (record.until !== undefined && Date.parse(record.until) <= now)
      throw new MillraceError('MR_OVERRIDE', `until: ${record.until} has passed`)
    const decided = { ...record, since: new Date(now).toISOString() }
    await this.#change((breakers) => [...breakers.filter((one) => !sameTarget(one, record)), decided])
    const { service, backend, mode, reason, actor, until } = record
    this.#deps.log.warn('an operator set a breaker', { service, backend, mode, reason, actor, until })
    return this.#document
  }

  /** Leaves it to the breaker again; without a backend also for every backend of the service. */
  async clear(target: { service: string; backend?: string | undefined }): Promise<OverridesDocument> {
    const whole = target.backend === undefined
    const isMeant = (one: BreakerRecord): boolean =>
      whole ? one.service === target.service : sameTarget(one, target)
    // What the config no longer has may come back to it, and would find its record.
    if (!this.#document.breakers.some(isMeant)) {
      this.#check(target)
      this.#checkAlone(target)
    }
    await this.#change((breakers) => breakers.filter((one) => !isMeant(one)))
    this.#deps.log.warn('an operator left a breaker to itself', target)
    return this.#document
  }

  /** Writes what is in force into the table; called when the services are other ones too. */
  apply(services = this.#deps.services()): void {
    const { table } = this.#deps
    for (const { config, placement } of services) {
      let changed = false
      config.backends.forEach(({ url }, i) => {
        const mode =
          this.#document.breakers.length === 0 ? 'auto' : (this.recordFor(config.name, url)?.mode ?? 'auto')
        const slot = placement.slots[i]
        if (table.forced[slot] === forced[mode]) return
        Atomics.store(table.forced, slot, forced[mode])
        changed = true
      })
      if (changed) Atomics.add(table.epoch, placement.index, 1)
    }
  }

  /** What is being written is written; no timer is left. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#writing.catch(() => {})
  }

  #check({ service, backend }: { readonly service: string; readonly backend?: string | undefined }): void {
    const services = [...this.#deps.services()].map(({ config }) => config)
    const config = services.find(({ name }) => name === service)
    if (config === undefined) {
      const known = services.map(({ name }) => name).join(', ')
      throw new MillraceError(
        'MR_SERVICE_UNKNOWN',
        `no service is called "${service}"; there are ${known || 'none'}`,
      )
    }
    if (backend === undefined || config.backends.some(({ url }) => url === backend)) return
    const known = config.backends.map(({ url }) => url).join(', ')
    throw new MillraceError('MR_OVERRIDE', `service ${service} has no backend ${backend}; it has ${known}`)
  }

  /** What holds for a whole service is not ended for one of its backends. */
  #checkAlone({
    service,
    backend,
  }: {
    readonly service: string
    readonly backend?: string | undefined
  }): void {
    const whole = this.#document.breakers.find(
      (one) => one.service === service && one.backend === undefined && one.mode !== 'auto',
    )
    if (backend === undefined || !whole) return
    const { mode, actor, reason } = whole
    const [other, word] = mode === 'open' ? ['closed', 'close'] : ['open', 'trip']
    throw new MillraceError(
      'MR_OVERRIDE',
      `nothing was decided about ${backend} alone: every backend of ${service} is held ${mode} by ${actor} (${reason}). ` +
        `End that for all of them (millrace breaker reset ${service}), or hold this one ${other} ` +
        `(millrace breaker ${word} ${service} ${backend} --reason …)`,
    )
  }

  /** One change at a time: file first, then the table, so that what was answered survives a crash. */
  #change(next: (breakers: OverridesDocument['breakers']) => OverridesDocument['breakers']): Promise<void> {
    const change = this.#writing
      .catch(() => {})
      .then(async () => {
        const { revision, breakers } = this.#document
        const document: OverridesDocument = { schema: 1, revision: revision + 1, breakers: next(breakers) }
        await write(this.#file, document)
        this.#document = document
        this.apply()
        this.#awaitEnd()
      })
    this.#writing = change
    return change
  }

  /** Ends what has an end. A timer cannot be set for longer than 24 days: it looks again within the hour. */
  #awaitEnd(): void {
    const { clock } = this.#deps
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#stopped) return
    const ends = this.#document.breakers.flatMap(({ until }) =>
      until === undefined ? [] : [Date.parse(until)],
    )
    if (ends.length === 0) return
    const wait = Math.max(0, Math.min(...ends) - clock.wall())
    this.#timer = clock.after(Math.min(wait, hour), () => void this.#endOver())
  }

  async #endOver(): Promise<void> {
    const now = this.#deps.clock.wall()
    const over = (record: BreakerRecord): boolean =>
      record.until !== undefined && Date.parse(record.until) <= now
    const ended = this.#document.breakers.filter(over)
    if (ended.length === 0) {
      this.#awaitEnd()
      return
    }
    try {
      await this.#change((breakers) => breakers.filter((record) => !over(record)))
    } catch (error) {
      // The disk may be full: it ends all the same.
      this.#deps.log.error('overrides cannot be written', { file: this.#file, cause: String(error) })
      this.#document = { ...this.#document, breakers: this.#document.breakers.filter((one) => !over(one)) }
      this.apply()
      this.#awaitEnd()
    }
    for (const { service, backend, mode } of ended)
      this.#deps.log.warn('a breaker is left to itself: its time is over', { service, backend, mode })
  }

  /** A file that cannot be used is kept aside: a restart must not fail for it, and nothing is lost. */
  #read(): OverridesDocument {
    const { log } = this.#deps
    const file = this.#file
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log.error('overrides cannot be read: every breaker is left to itself', { file, cause: String(error) })
      return empty
    }
    try {
      return documentSchema.parse(JSON.parse(text))
    } catch (error) {
      const aside = `${file}.broken`
      try {
        renameSync(file, aside)
      } catch {
        // It stays where it is, and is written over by the next change.
      }
      log.error('overrides are not valid: every breaker is left to itself', {
        file,
        aside,
        cause: String(error),
      })
      return empty
    }
  }
}

function sameTarget(
  a: { readonly service: string; readonly backend?: string | undefined },
  b: { readonly service: string; readonly backend?: string | undefined },
): boolean {
  return a.service === b.service && a.backend === b.backend
}

/** Whole or not at all: a temporary file, on the disk, then renamed. */
async function write(file: string, document: OverridesDocument): Promise<void> {
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.new`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(document, undefined, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
}
