/** A network between instances of one plugin, over the kit's time: nothing arrives at once, and cut nodes hear nothing. */
import { type FleetNode, MillraceError, type Network, type Received } from '../../core/contracts/index.ts'
import type { FakeTime } from './time.ts'

/** One way, in milliseconds. */
const latencyMs = 1

interface Peer {
  readonly node: FleetNode
  onMessage: ((message: Received) => void) | undefined
  onRequest: ((message: Received) => Uint8Array | PromiseLike<Uint8Array>) | undefined
}

export class Hub {
  readonly #time: FakeTime
  readonly #peers = new Map<string, Peer>()
  readonly #cut = new Set<string>()

  constructor(time: FakeTime) {
    this.#time = time
  }

  /** Nothing comes to, or from, this address any more. */
  cut(address: string): void {
    this.#cut.add(address)
  }

  heal(address: string): void {
    this.#cut.delete(address)
  }

  network(node: FleetNode): Network {
    const peer: Peer = { node, onMessage: undefined, onRequest: undefined }
    this.#peers.set(node.address, peer)
    return {
      send: async (address, payload) => {
        const message = received(node, payload)
        this.#later(() => this.#reach(node, address)?.onMessage?.(message))
      },
      onMessage: (handle) => {
        peer.onMessage = handle
      },
      request: (address, payload, options) => this.#request(node, address, received(node, payload), options),
      onRequest: (handle) => {
        peer.onRequest = handle
      },
    }
  }

  #request(
    from: FleetNode,
    to: string,
    message: Received,
    { timeoutMs, signal, node }: Parameters<Network['request']>[2],
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new MillraceError('MR_NETWORK', `${to}: ${why}`))
      const late = this.#time.clock().after(timeoutMs, () => fail('no answer in time'))
      signal?.addEventListener('abort', () => fail('given up'), { once: true })
      this.#later(async () => {
        const peer = this.#reach(from, to)
        const handle = peer?.onRequest
        if (!handle) return
        try {
          const answer = (await handle(message)).slice()
          this.#later(() => {
            if (!this.#reach(from, to)) return
            late.cancel()
            if (node === undefined || peer.node.id === node) resolve(answer)
            else fail(`${peer.node.id} answers there, not ${node}`)
          })
        } catch {
          late.cancel()
          fail('the handler threw')
        }
      })
    })
  }

  #later(run: () => void): void {
    this.#time.clock().after(latencyMs, run)
  }

  #reach(from: FleetNode, to: string): Peer | undefined {
    return this.#cut.has(from.address) || this.#cut.has(to) ? undefined : this.#peers.get(to)
  }
}

function received({ id, boot, address }: FleetNode, payload: Uint8Array): Received {
  return { from: id, boot, address, payload: payload.slice() }
}
