/** The UDP side of a node: one socket at `node.advertise`. */
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP, isIPv6 } from 'node:net'
import { MillraceError } from '../host/errors.ts'
import { listenError } from '../host/listen-error.ts'
import { type NodeAddress, nodeAddressText } from './address.ts'
import { Lookups } from './lookups.ts'

export interface DatagramDeps {
  readonly at: NodeAddress
  /** Monotonic milliseconds. */
  now(): number
  /** A datagram came. @param from `host:port` */
  receive(bytes: Buffer, from: string): void
  /** The socket has failed, and goes on. */
  failed(error: Error): void
}

export class Datagrams {
  readonly #deps: DatagramDeps
  readonly #socket: Socket
  readonly #names: Lookups<string>
  #opened: Promise<void> | undefined
  #closed = false

  constructor(deps: DatagramDeps) {
    this.#deps = deps
    const family = isIPv6(deps.at.host) ? 6 : 4
    this.#socket = createSocket({ type: `udp${family}` })
    this.#names = new Lookups({
      now: () => deps.now(),
      find: async (host) => (await lookup(host, { family })).address,
    })
  }

  /** Idempotent. @throws MR_LISTEN */
  open(): Promise<void> {
    this.#opened ??= this.#open()
    return this.#opened
  }

  /** @throws MR_NETWORK, MR_LISTEN */
  async send(to: NodeAddress, bytes: Uint8Array): Promise<void> {
    await this.open()
    const address = isIP(to.host) ? to.host : await this.#find(to)
    if (this.#closed) throw new MillraceError('MR_NETWORK', 'this node has stopped')
    await new Promise<void>((resolve, reject) => {
      this.#socket.send(bytes, to.port, address, (cause) => {
        if (cause) reject(unsent(to, cause))
        else resolve()
      })
    })
  }

  async #find(to: NodeAddress): Promise<string> {
    try {
      return await this.#names.of(to.host)
    } catch (cause) {
      throw unsent(to, cause)
    }
  }

  /** What was handed over before is sent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (!this.#opened) {
      this.#socket.close()
      return
    }
    const isOpen = await this.#opened.then(
      () => true,
      () => false,
    )
    // A socket that could not be bound closes itself.
    if (isOpen) await new Promise<void>((resolve) => this.#socket.close(() => resolve()))
  }

  #open(): Promise<void> {
    const { at, receive, failed } = this.#deps
    return new Promise((resolve, reject) => {
      const refuse = (cause: Error): void => {
        this.#socket.close()
        reject(listenError('UDP of node.advertise', { ...at, socketPath: '' }, 'node.advertise', cause))
      }
      this.#socket.once('error', refuse)
      this.#socket.bind({ address: at.host, port: at.port, exclusive: true }, () => {
        this.#socket.off('error', refuse)
        this.#socket.on('error', failed)
        this.#socket.on('message', (bytes, from) =>
          receive(bytes, nodeAddressText({ host: from.address, port: from.port })),
        )
        resolve()
      })
    })
  }
}

function unsent(to: NodeAddress, cause: unknown): MillraceError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new MillraceError('MR_NETWORK', `${nodeAddressText(to)}: ${why}`, { cause })
}
