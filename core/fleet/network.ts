/**
 * The network between the nodes of a fleet, as plugins have it (`context.network`): datagrams over UDP and requests over HTTP, both at
 * `node.advertise`, each in an envelope. A socket is opened when a plugin first needs it. Beside the proxy's traffic, on the main thread.
 */
import { lookup } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import type { Log } from '../contracts/plugin.ts'
import type { Network, Received } from '../contracts/process.ts'
import type { RawClock } from '../host/clock.ts'
import { MillraceError } from '../host/errors.ts'
import { isLoopback, type NodeAddress, nodeAddressText, parseNodeAddress } from './address.ts'
import { Datagrams } from './datagrams.ts'
import { type DropReason, Envelopes } from './envelope.ts'
import {
  type ExchangeAnswer,
  ExchangeServer,
  exchangePath,
  longestExchange,
  longestPayload,
} from './exchange-server.ts'
import { Lookups } from './lookups.ts'

export interface NetworkDeps {
  readonly fleet: string
  /** `address` is where the sockets are bound. */
  readonly self: { readonly id: string; readonly boot: string; readonly address: string }
  /** See {@link Envelopes}. */
  readonly keys: readonly string[]
  readonly clock: RawClock
  readonly log: Log
  dropped?(reason: DropReason): void
}

/** One plugin's end. */
interface Port {
  readonly purpose: string
  onMessage: ((message: Received) => void) | undefined
  onRequest: ((message: Received) => Uint8Array | PromiseLike<Uint8Array>) | undefined
}

type Undici = typeof import('undici')

const longestDatagram = 1200
/** With the longest envelope. What is longer is nobody's, and not looked at: a proof has to be computed over all of it. */
const longestSealed = 2048

export class FleetNetwork {
  readonly #deps: NetworkDeps
  readonly #at: NodeAddress
  readonly #envelopes: Envelopes
  readonly #ports = new Map<string, Port>()
  readonly #closing = new AbortController()
  #datagrams: Datagrams | undefined
  #server: ExchangeServer | undefined
  #client: Promise<{ readonly undici: Undici; readonly agent: InstanceType<Undici['Agent']> }> | undefined
  readonly #opening: Promise<void>[] = []
  #closed: Promise<void> | undefined

  /** @throws MR_NETWORK when the node's own address is none */
  constructor(deps: NetworkDeps) {
    this.#deps = deps
    this.#at = addressOf(deps.self.address)
    this.#envelopes = new Envelopes({
      ...deps,
      wall: () => deps.clock.wall(),
      dropped: (reason) => deps.dropped?.(reason),
    })
  }

  /** @param purpose kind and name of the plugin */
  for(purpose: string): Network {
    const port: Port = { purpose, onMessage: undefined, onRequest: undefined }
    this.#ports.set(purpose, port)
    return {
      send: (address, payload) => this.#send(purpose, address, payload),
      onMessage: (handle) => {
        port.onMessage = handle
        this.#open(() => this.#udp())
      },
      request: (address, payload, options) => this.#request(purpose, address, payload, options),
      onRequest: (handle) => {
        port.onRequest = handle
        this.#open(() => this.#tcp())
      },
    }
  }

  /** Settles when the sockets that were asked for are open. @throws MR_LISTEN, MR_NETWORK */
  async ready(): Promise<void> {
    await Promise.all(this.#opening)
  }

  /** Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error('this node has stopped'))
    await Promise.all([this.#datagrams?.close(), this.#server?.close()])
    await this.#client?.then(({ agent }) => agent.destroy()).catch(() => {})
  }

  #open(what: () => { open(): Promise<void> }): void {
    const opened = (async () => {
      this.#checkReach(this.#at, 'node.advertise')
      await what().open()
    })()
    // Told by `ready`.
    opened.catch(() => {})
    this.#opening.push(opened)
  }

  #udp(): Datagrams {
    this.#datagrams ??= new Datagrams({
      at: this.#at,
      now: () => this.#deps.clock.now(),
      receive: (bytes, from) => this.#received(bytes, from),
      failed: (error) =>
        this.#deps.log.warn(`UDP of node.advertise: ${error.message}`, { code: 'MR_NETWORK' }),
    })
    return this.#datagrams
  }

  #tcp(): ExchangeServer {
    this.#server ??= new ExchangeServer({
      at: this.#at,
      receive: (bytes, from) => this.#answer(bytes, from),
    })
    return this.#server
  }

  async #send(purpose: string, address: string, payload: Uint8Array): Promise<void> {
    const to = addressOf(address)
    this.#checkReach(to, address)
    if (payload.length > longestDatagram)
      throw new MillraceError(
        'MR_NETWORK',
        `a datagram of ${payload.length} bytes; expected ${longestDatagram} at most`,
      )
    if (this.#closing.signal.aborted) throw new MillraceError('MR_NETWORK', 'this node has stopped')
    await this.#udp().send(to, this.#envelopes.seal(`${purpose} message`, payload))
  }

  #received(bytes: Buffer, address: string): void {
    if (bytes.length > longestSealed) {
      this.#deps.dropped?.('malformed')
      return
    }
    const opened = this.#envelopes.open(bytes)
    if (!opened || this.#closing.signal.aborted) return
    const { from, boot, payload } = opened
    const purpose = purposeOf(opened.purpose, ' message')
    try {
      this.#ports.get(purpose)?.onMessage?.({ from, boot, address, payload })
    } catch (error) {
      this.#threw(purpose, 'message', error)
    }
  }

  async #answer(bytes: Buffer, address: string): Promise<ExchangeAnswer> {
    const opened = this.#envelopes.open(bytes)
    if (!opened) return 403
    const { from, boot, payload, counter } = opened
    const purpose = purposeOf(opened.purpose, ' request')
    const handle = this.#ports.get(purpose)?.onRequest
    if (!handle || this.#closing.signal.aborted) return 404
    try {
      const answer = await handle({ from, boot, address, payload })
      return this.#envelopes.seal(answerTo(purpose, boot, counter), answer)
    } catch (error) {
      this.#threw(purpose, 'request', error)
      return 500
    }
  }

  async #request(
    purpose: string,
    address: string,
    payload: Uint8Array,
    { timeoutMs, signal, node }: Parameters<Network['request']>[2],
  ): Promise<Uint8Array> {
    const to = addressOf(address)
    this.#checkReach(to, address)
    if (payload.length > longestPayload)
      throw new MillraceError(
        'MR_NETWORK',
        `a request of ${payload.length} bytes; expected ${longestPayload} at most`,
      )
    const late = new AbortController()
    const timer = this.#deps.clock.after(timeoutMs, () =>
      late.abort(new Error(`no answer within ${timeoutMs} ms`)),
    )
    try {
      const ends = [late.signal, this.#closing.signal, ...(signal ? [signal] : [])]
      const sealed = this.#envelopes.seal(`${purpose} request`, payload)
      const wanted = answerTo(purpose, this.#deps.self.boot, this.#envelopes.counter)
      const opened = this.#envelopes.open(await this.#post(to, sealed, AbortSignal.any(ends)))
      if (opened?.purpose !== wanted) throw new Error('its answer does not prove itself')
      if (node !== undefined && opened.from !== node)
        throw new Error(
          `the node ${opened.from} answers there, not ${node}: is node.advertise of one of them wrong?`,
        )
      return opened.payload
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new MillraceError('MR_NETWORK', `${nodeAddressText(to)}: ${why}`, { cause })
    } finally {
      timer.cancel()
    }
  }

  async #post(to: NodeAddress, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    this.#client ??= loadClient(this.#deps.clock)
    const { undici, agent } = await this.#client
    const answer = await undici.request(`http://${nodeAddressText(to)}${exchangePath}`, {
      method: 'POST',
      ...{ body, signal, dispatcher: agent },
      headers: { 'content-type': 'application/octet-stream' },
    })
    const bytes = new Uint8Array(await answer.body.arrayBuffer())
    if (answer.statusCode === 200) return bytes
    if (answer.statusCode === 403)
      throw new Error('it does not accept our messages (another fleet or fleetKey, or a clock that is wrong)')
    if (answer.statusCode === 404) throw new Error('nothing answers there: another `sync`?')
    throw new Error(`it answers ${answer.statusCode}`)
  }

  /** @throws MR_NETWORK where others could listen or speak, and nothing proves who does */
  #checkReach({ host }: NodeAddress, what: string): void {
    if (this.#deps.keys.length > 0 || isLoopback(host)) return
    throw new MillraceError(
      'MR_NETWORK',
      `${what}: ${host} is not a loopback address; messages between machines need a fleetKey`,
    )
  }

  #threw(plugin: string, hook: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    const stack = error instanceof Error ? error.stack : undefined
    this.#deps.log.error(`${plugin}: its handler of a ${hook} threw: ${message}`, {
      ...{ code: 'MR_PLUGIN_FAULT', plugin, hook, stack },
    })
  }
}

async function loadClient(clock: RawClock) {
  const undici = await import('undici')
  const names = new Lookups({
    now: () => clock.now(),
    find: (host) => lookup(host, { all: true }),
  })
  const find: LookupFunction = (host, { all }, done) =>
    void names.of(host).then(
      (list) => (all ? done(null, list) : done(null, list[0].address, list[0].family)),
      (error: NodeJS.ErrnoException) => done(error, []),
    )
  const agent = new undici.Agent({
    connect: { lookup: find },
    ...{ connections: 4, pipelining: 1, keepAliveTimeout: 10_000, keepAliveMaxTimeout: 10_000 },
    maxResponseSize: longestExchange,
  })
  return { undici, agent }
}

/** An answer is one to this request of this start of a node, and to nothing else. */
const answerTo = (purpose: string, boot: string, counter: number): string =>
  `${purpose} answer ${boot} ${counter}`

/** Empty: another way of sending; a datagram is no request. */
const purposeOf = (sealed: string, ending: string): string =>
  sealed.endsWith(ending) ? sealed.slice(0, -ending.length) : ''

function addressOf(text: string): NodeAddress {
  const address = parseNodeAddress(text)
  if (address) return address
  throw new MillraceError('MR_NETWORK', `${JSON.stringify(text)} is no address of a node; expected host:port`)
}
