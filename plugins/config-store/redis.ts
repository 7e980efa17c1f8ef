import { randomUUID } from 'node:crypto'
import type { Redis, RedisOptions } from 'ioredis'
import {
  type ConfigStore,
  type Document,
  definePlugin,
  duration,
  type Head,
  historyLimits,
  type Lease,
  type LeaseInfo,
  type PutResult,
  type Revision,
  type RevisionRef,
  type StoreContext,
  type WriteNote,
  z,
} from 'millrace'
import { DurabilityWatch } from '../lib/redis-durability.ts'
import { AnswerLost, storeError } from '../lib/redis-errors.ts'
import { type Arguments, argumentsOf, RedisLeases } from '../lib/redis-leases.ts'
import { type Answer, RedisLink } from '../lib/redis-link.ts'
import { checkConnection, connectionFields, driverOptions, placeOf } from '../lib/redis-options.ts'
import { documentOf, headOf, headsOf, noteText } from '../lib/redis-records.ts'
import { runScript } from '../lib/redis-run.ts'
import { type Script, scripts } from '../lib/redis-scripts.ts'
import { checkName, checkWrite } from '../lib/store-checks.ts'

const options = z
  .strictObject({
    ...connectionFields,
    wait: z
      .strictObject({
        replicas: z.int().min(1).max(100),
        timeout: duration
          .refine((ms) => ms >= 1, 'timeout is at least 1ms')
          .prefault('1s')
          .describe('How long they are waited for; then the outcome is unknown'),
      })
      .optional()
      .describe('A write counts as committed when so many replicas have it too (WAIT)'),
  })
  .superRefine((given, context) => {
    checkConnection(given, context)
    if (given.wait && given.wait.timeout >= given.timeout)
      context.addIssue({ code: 'custom', message: 'expected less than `timeout`', path: ['wait', 'timeout'] })
  })
type Options = z.output<typeof options>

/** Nothing, where there is none. */
type Found = [record: Buffer, value: Buffer | null, lineage: Buffer | null] | []

interface Links {
  readonly reads: RedisLink
  /** One of its own where writes wait for replicas: nothing else is held up by that. */
  readonly writes: RedisLink
}

class RedisStore implements ConfigStore {
  readonly #links: Links
  readonly #wait: Options['wait']
  readonly #prefix: string
  readonly #leases: RedisLeases

  constructor({ clock, signal, fleet }: StoreContext, links: Links, wait: Options['wait']) {
    this.#links = links
    this.#wait = wait
    this.#prefix = `{millrace:${fleet}}:`
    this.#leases = new RedisLeases({
      ...{ clock, signal },
      runId: () => links.writes.info.get('run_id') ?? '',
      run: (script, keys, given) => this.#run(script, keys, given),
      write: (script, keys, given, wrote) => this.#write(script, keys, given, wrote),
    })
  }

  async lineage(): Promise<string> {
    const { reply } = await this.#run<Buffer>(scripts.lineage, ['meta'], [randomUUID()])
    return reply.toString()
  }

  async get(document: string): Promise<Document | null> {
    checkName(document)
    return this.#document(document, '')
  }

  async heads(prefix: string): Promise<readonly Head[]> {
    const { reply } = await this.#run<Buffer[]>(scripts.heads, ['meta', 'heads'], [prefix])
    return headsOf(reply)
  }

  async put(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): Promise<PutResult> {
    checkWrite(document, value, writeId, note)
    const keys = ['meta', 'heads', 'outbox', `doc:${document}`]
    const bytes =
      value === null ? '' : Buffer.from(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
    const given = [
      document,
      writeId,
      String(expect?.number ?? 0),
      expect?.id ?? '',
      value === null ? '1' : '0',
      bytes,
      noteText(note),
      randomUUID(),
      historyLimits.revisions,
      historyLimits.bytes,
      this.#wait ? '1' : '0',
    ]
    try {
      const { reply } = await this.#write<[Buffer, Buffer | null]>(
        scripts.put,
        keys,
        given,
        ([status]) => status.toString() === 'committed',
      )
      return resultOf(document, reply)
    } catch (error) {
      if (error instanceof AnswerLost) return { status: 'unknown', cause: error }
      throw error
    }
  }

  async history(
    document: string,
    { before, limit = 100 }: { readonly before?: number; readonly limit?: number } = {},
  ): Promise<readonly Head[]> {
    checkName(document)
    const keys = ['meta', 'heads', `doc:${document}`]
    const most = Math.max(0, Math.min(limit, 1_000_000))
    const { reply } = await this.#run<Buffer[]>(scripts.history, keys, [document, before ?? '', most])
    return reply.map((record) => headOf(document, record))
  }

  async revision(document: string, { number, id }: RevisionRef): Promise<Document | null> {
    checkName(document)
    const found = await this.#document(document, String(number))
    return found?.revision.id === id ? found : null
  }

  async unannounced(): Promise<readonly Head[]> {
    const { reply } = await this.#run<Buffer[]>(scripts.unannounced, ['meta', 'heads', 'outbox'], [])
    return headsOf(reply)
  }

  async markAnnounced(document: string, { number, id }: RevisionRef): Promise<void> {
    checkName(document)
    await this.#run(scripts.announced, ['meta', 'heads', 'outbox'], [document, String(number), id])
  }

  lease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    return this.#leases.take(name, holder, ttlMs)
  }

  async leases(prefix: string): Promise<readonly LeaseInfo[]> {
    const given = [prefix, `${this.#prefix}lease:`]
    const { reply } = await this.#run<Buffer[]>(scripts.leases, ['meta', 'leases'], given)
    const lineage = reply[0].toString()
    const held: LeaseInfo[] = []
    for (let i = 1; i + 1 < reply.length; i += 2)
      held.push(leaseOf(reply[i].toString(), reply[i + 1], lineage))
    return held.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #document(document: string, number: string): Promise<Document | null> {
    const keys = ['meta', 'heads', `doc:${document}`]
    const { reply } = await this.#run<Found>(scripts.get, keys, [document, number])
    if (reply.length === 0) return null
    const [record, value, lineage] = reply
    return { ...documentOf(document, record, value), lineage: lineage?.toString() }
  }

  #run<T>(script: Script, keys: readonly string[], given: Arguments): Promise<Answer<T>> {
    const full = keys.map((key) => this.#prefix + key)
    return this.#links.reads.call((redis) => runScript<T>(redis, script, full, argumentsOf(given)))
  }

  /** @param wrote whether the answer is of a write that replicas have to have */
  async #write<T>(
    script: Script,
    keys: readonly string[],
    given: Arguments,
    wrote: (reply: T) => boolean,
  ): Promise<Answer<T>> {
    const full = keys.map((key) => this.#prefix + key)
    return this.#links.writes.call((redis) =>
      runScript<T>(redis, script, full, argumentsOf(given), this.#wait && { ...this.#wait, wrote }),
    )
  }
}

function resultOf(document: string, [status, record]: readonly [Buffer, Buffer | null]): PutResult {
  const head = record === null ? null : headOf(document, record)
  if (status.toString() === 'conflict') return { status: 'conflict', head }
  if (head === null) throw storeError('MR_STORE_DATA', `${document}: the answer to a write cannot be read`)
  return { status: 'committed', revision: head.revision satisfies Revision }
}

function leaseOf(name: string, held: Buffer, lineage: string): LeaseInfo {
  const [, token, holder] = /^(\d+)\n([\s\S]*)$/.exec(held.toString()) ?? []
  if (token === undefined) throw storeError('MR_STORE_DATA', `the lease ${name} cannot be read`)
  return { name, holder, token: { lineage, number: Number(token) } }
}

async function create(context: StoreContext, parsed: Options): Promise<ConfigStore> {
  const driver = await import('ioredis')
  const place = placeOf(parsed)
  const watch = new DurabilityWatch(context.log, place)
  const link = (): RedisLink => {
    const made = new RedisLink({
      make: (given: RedisOptions): Redis => new driver.Redis(given),
      driver: driverOptions(parsed, `millrace:${context.fleet}:${context.node.id}`, context),
      context,
      place,
      limitMs: parsed.timeout,
      onUp: (_redis, info) => watch.look(info),
    })
    // At once closed where the node has stopped in the meantime.
    context.defer(() => made.close())
    return made
  }
  const reads = link()
  return new RedisStore(context, { reads, writes: parsed.wait ? link() : reads }, parsed.wait)
}

/**
 * The config store in Redis (6.2 or newer): one master, with replicas and Sentinels where you have them. Reads and writes go to
 * the master. Every change is one script on the server, so writers anywhere may meet; a write that was sent and not answered
 * is `unknown`, and settled by the same write again.
 *
 * Redis acknowledges before a replica or the disk has it, unless you ask for more (`wait`, `appendfsync always`): docs/redis.md says what
 * that loses and what narrows it. A server that was restarted, or promoted, gives no lease to anybody new before those it may have
 * lost are over. Uses the package `ioredis`.
 */
export default definePlugin({
  api: 1,
  kind: 'config-store',
  name: 'redis',
  description: 'The config store in Redis, with Sentinel where you have it.',
  options,
  create,
})
