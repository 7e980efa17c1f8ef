/** A real exchange without a connection on either side: what filters see and heads are made from. */

import { field } from '../../core/http1/fields.ts'
import type { MessageHead } from '../../core/http1/head.ts'
import { nominatedNames } from '../../core/http1/serialize.ts'
import { Exchange } from '../../core/proxy/exchange.ts'
import { forwardingLines } from '../../core/proxy/forwarded.ts'
import { PlaneContext } from '../../core/proxy/plane-context.ts'
import type { ServiceRuntime } from '../../core/proxy/service-runtime.ts'
import type { ClientStream } from '../../core/proxy/stream.ts'
import { type headSizes, parsedHead, requestHeads, responseHeads } from './messages.ts'
import { planeDeps } from './plane-deps.ts'

/** A client whose forwarding lines are made already, as from the second request of a connection on. */
function client(): ClientStream {
  const lines = forwardingLines('203.0.113.7', 'http', 'www.example.com', 1)
  const part = { address: '203.0.113.7', scheme: 'http', minorVersion: 1, forwardingLines: () => lines }
  return part as unknown as ClientStream
}

/** One exchange that is begun again and again, with another message each time. */
export class Exchanges {
  readonly exchange = new Exchange(new PlaneContext(planeDeps(1)))
  readonly #requests: readonly { head: MessageHead; method: string; target: string; host: string }[]
  readonly #responses = responseHeads().map((bytes) => parsedHead(bytes, false))

  /** @param line one more field line in each request, with its CRLF */
  constructor(size: keyof typeof headSizes, line = '') {
    const { exchange } = this
    exchange.client = client()
    exchange.service = service
    this.#requests = requestHeads(size).map((bytes) => {
      const end = bytes.length - 2
      const head = parsedHead(
        Buffer.concat([bytes.subarray(0, end), Buffer.from(line), bytes.subarray(end)]),
        true,
      )
      return { head, method: head.method, target: head.target, host: head.get('host')! }
    })
  }

  /** As `Exchange.begin`, up to the choice of a route. */
  request(index: number): Exchange {
    const { exchange } = this
    const { head, method, target, host } = this.#requests[index & (this.#requests.length - 1)]
    exchange.reset()
    exchange.service = service
    exchange.head = head
    exchange.method = method
    exchange.target = target
    exchange.host = host
    exchange.requestLength = 0
    if (head.has(field.connection)) exchange.nominated = nominatedNames(head)
    return exchange
  }

  /** As when the head of the backend's answer has come. */
  response(index: number): Exchange {
    const { exchange } = this
    exchange.reset()
    exchange.head = this.#requests[0].head
    exchange.method = 'GET'
    return this.answer(index)
  }

  /** The same, for the request that was begun last. */
  answer(index: number): Exchange {
    const { exchange } = this
    const head = this.#responses[index & (this.#responses.length - 1)]
    exchange.responseHead = head
    exchange.status = head.status
    exchange.responseNominated = nominatedNames(head)
    return exchange
  }
}

const service = { name: 'app', config: { host: { mode: 'client', value: '' } } } as unknown as ServiceRuntime
