/** Hints over Redis pub/sub: one channel a fleet, one subscription a node. */
import type { Redis, RedisOptions } from 'ioredis'
import { type ConfigSync, Envelopes, type RevisionRef, type SyncContext, type Timer } from 'millrace'
import { RedisLink } from './redis-link.ts'
import { type Connection, driverOptions, placeOf } from './redis-options.ts'

/** The contract gives an announcement 5 s. */
const announceMs = 4500
/** After a refusal. A connection that is lost is another matter: a new one subscribes at once. */
const subscribeAgainMs = 1000
/** In characters; ours have some 1,000 with the longest names. What is longer is nobody's, and not looked at: a proof has to be computed
 * over all of it. */
const longestMessage = 4096

export interface BusOptions extends Connection {
  /** Milliseconds between heartbeats; undefined: none, and a bus that is dead without a sign is not noticed. */
  readonly heartbeat?: number
}

/** A name of a document and a revision, as they travel. An empty payload is a heartbeat. */
type Hint = readonly [document: string, number?: number, id?: string]

export class RedisBus implements ConfigSync {
  readonly #context: SyncContext
  readonly #envelopes: Envelopes
  readonly #purpose: string
  readonly #channel: string
  readonly #heartbeatMs: number | undefined
  readonly #subscriber: RedisLink
  readonly #publisher: RedisLink
  #listening: Redis | undefined
  #retry: Timer | undefined
  #up = false
  /** When the bus last proved that it brings messages, and how long it may be silent until this node speaks. */
  #heardAt = 0
  #patienceMs = 0
  #warned = false

  constructor(context: SyncContext, options: BusOptions, name: string, make: (given: RedisOptions) => Redis) {
    const { self } = context.members
    this.#context = context
    this.#channel = `{millrace:${context.fleet}}:${name}`
    this.#purpose = `config-sync ${name}`
    this.#envelopes = new Envelopes({
      ...{ fleet: context.fleet, self, keys: context.fleetKeys },
      wall: () => context.clock.wall(),
      dropped: (reason) => this.#dropped(reason),
    })
    this.#heartbeatMs = options.heartbeat
    const link = (role: string, limitMs: number, told: { onUp?(redis: Redis): void; onDown?(): void }) => {
      const driver = driverOptions(options, `millrace:${context.fleet}:${self.id}:${role}`, context)
      const made = new RedisLink({ make, driver, context, place: placeOf(options), limitMs, ...told })
      // At once closed where the node has stopped in the meantime.
      context.defer(() => made.close())
      return made
    }
    this.#publisher = link('announce', Math.min(options.timeout, announceMs), {})
    this.#subscriber = link('hints', options.timeout, {
      onUp: (redis) => void this.#subscribe(redis),
      onDown: () => this.#say(false),
    })
    if (this.#heartbeatMs !== undefined) context.clock.every(this.#heartbeatMs / 4, () => this.#beat())
  }

  async announce(document: string, { number, id }: RevisionRef): Promise<void> {
    await this.#publish([document, number, id])
  }

  async #publish(hint: Hint | undefined): Promise<void> {
    const payload = hint === undefined ? '' : JSON.stringify(hint)
    await this.#publisher.call((redis) =>
      redis.publish(this.#channel, this.#envelopes.sealText(this.#purpose, payload)),
    )
  }

  async #subscribe(redis: Redis): Promise<void> {
    if (this.#listening !== redis) {
      this.#listening = redis
      redis.on('message', (channel: string, text: string) => {
        if (channel === this.#channel) this.#receive(text)
      })
    }
    try {
      await this.#subscriber.call((connected) => connected.subscribe(this.#channel))
      this.#heard()
      this.#say(true)
    } catch (error) {
      this.#warn('no hints can be subscribed to', error)
      this.#retry?.cancel()
      this.#retry = this.#context.clock.after(subscribeAgainMs, () => {
        if (!this.#up) void this.#subscribe(redis)
      })
    }
  }

  #receive(text: string): void {
    if (text.length > longestMessage) {
      this.#dropped('malformed')
      return
    }
    const message = this.#envelopes.openText(text)
    if (message?.purpose !== this.#purpose || this.#context.signal.aborted) return
    this.#heard()
    const hint = hintOf(Buffer.from(message.payload).toString())
    if (hint === undefined) return
    const [document, number, id] = hint
    if (!this.#context.documents.some((prefix) => document.startsWith(prefix))) return
    this.#context.hint(document, number === undefined || id === undefined ? undefined : { number, id })
  }

  #dropped(reason: string): void {
    this.#context.metrics.counter(`messages_dropped_${reason}`, `Messages dropped: ${reason}.`).add()
  }

  #heard(): void {
    this.#heardAt = this.#context.clock.now()
    // Whoever loses patience first speaks for all: about one heartbeat an interval, however many nodes there are.
    this.#patienceMs = (this.#heartbeatMs ?? 0) * (0.5 + this.#context.random() / 2)
  }

  #beat(): void {
    if (!this.#up) return
    if (this.#silentMs() > 3 * (this.#heartbeatMs ?? 0)) {
      // What has arrived while this loop stalled is read first.
      setImmediate(() => {
        if (!this.#up || this.#context.signal.aborted) return
        if (this.#silentMs() <= 3 * (this.#heartbeatMs ?? 0)) return
        this.#say(false)
        this.#subscriber.cut()
      })
    } else if (this.#silentMs() > this.#patienceMs) {
      this.#patienceMs += (this.#heartbeatMs ?? 0) / 2
      this.#publish(undefined).catch((error: unknown) => this.#warn('no heartbeat can be sent', error))
    }
  }

  #silentMs(): number {
    return this.#context.clock.now() - this.#heardAt
  }

  #say(up: boolean): void {
    if (up === this.#up || this.#context.signal.aborted) return
    this.#up = up
    this.#context.bus(up ? 'up' : 'down')
  }

  /** Being away is what a bus may be; being refused is somebody's mistake. */
  #warn(what: string, error: unknown): void {
    if (this.#warned || this.#context.signal.aborted) return
    if ((error as { code?: string }).code !== 'MR_STORE_DENIED') return
    this.#warned = true
    this.#context.log.warn(`${what}: ${(error as Error).message}`)
  }
}

function hintOf(payload: string): Hint | undefined {
  if (payload === '') return undefined
  try {
    const [document, number, id] = JSON.parse(payload) as unknown[]
    if (typeof document !== 'string') return undefined
    return Number.isSafeInteger(number) && typeof id === 'string'
      ? [document, number as number, id]
      : [document]
  } catch {
    return undefined
  }
}

export async function createBus(
  context: SyncContext,
  options: BusOptions,
  name: string,
): Promise<ConfigSync> {
  const driver = await import('ioredis')
  if (context.fleetKeys.length === 0)
    context.log.warn('there is no fleetKey: whoever can write to the bus can make this node read the store')
  return new RedisBus(context, options, name, (given) => new driver.Redis(given))
}
