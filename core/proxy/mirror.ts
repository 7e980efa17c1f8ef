/** Shadow traffic: a copy of an exchange, sent to another service by a client that nobody listens to. */
import { field } from '../http1/fields.ts'
import { readFraming } from '../http1/framing.ts'
import { MessageHead } from '../http1/head.ts'
import { headResult, parseHead } from '../http1/parse.ts'
import { keptFields } from '../http1/serialize.ts'
import type { Exchange, RequestLine } from './exchange.ts'
import type { ServiceRuntime } from './service-runtime.ts'
import { type ClientStream, sent } from './stream.ts'

/** A copy is sent with its body: it asks for no 100. */
const expect: ReadonlySet<string> = new Set(['expect'])
/** A body behind a transform is sent in chunks: its length is not what the client said. */
const expectAndLength: ReadonlySet<string> = new Set(['expect', 'content-length'])

/** Copies the request as it stands now; it is sent when its body is complete, if that is short enough. */
export function startMirror(exchange: Exchange, service: ServiceRuntime): void {
  const limit = service.config.retries.bodyBuffer
  if (exchange.requestLength > limit) return
  const head = copyHead(exchange)
  if (!head) return
  const mirror = new Mirror(exchange, head, service, limit)
  const { collected } = exchange
  for (const chunk of collected?.pieces ?? exchange.buffered) mirror.data(chunk)
  if (exchange.requestDone || collected?.whole) {
    mirror.end()
  } else exchange.mirrors = [...(exchange.mirrors ?? []), mirror]
}

/** The request's head as a head of its own: the original is reused when its exchange ends. */
function copyHead(exchange: Exchange): MessageHead | undefined {
  const { head, fields, runtime } = exchange
  const chunked = exchange.requestLength < 0
  const skipped = (1 << field.expect) | (chunked ? 1 << field.contentLength : 0)
  let lines = fields?.changed
    ? fields.lines(chunked ? expectAndLength : expect)
    : keptFields(head, skipped, exchange.nominated)
  if (chunked) lines += 'Transfer-Encoding: chunked\r\n'
  const bytes = Buffer.from(`${exchange.method} ${exchange.target} HTTP/1.1\r\n${lines}\r\n`, 'latin1')
  const copy = new MessageHead(runtime.limits.fields + 8)
  // What we added may make it longer than what clients may send.
  const limits = { head: bytes.length + 1, fields: runtime.limits.fields + 8, target: bytes.length }
  if (parseHead(copy, bytes, 0, bytes.length, true, limits) !== headResult.done) return undefined
  copy.text = bytes.toString('latin1')
  return readFraming(copy) ? copy : undefined
}

export class Mirror implements ClientStream {
  readonly address: string
  readonly scheme: 'http' | 'https'
  readonly listener: string
  readonly gone = false
  readonly minorVersion = 1
  readonly #forwarding: string
  readonly #head: MessageHead
  readonly #service: ServiceRuntime
  readonly #exchange: Exchange
  readonly #request: RequestLine
  #body: Buffer[] = []
  #bytes = 0
  #limit: number

  constructor(original: Exchange, head: MessageHead, service: ServiceRuntime, limit: number) {
    this.address = original.client.address
    this.scheme = original.client.scheme
    this.listener = original.client.listener
    this.#forwarding = original.client.forwardingLines(original.host)
    this.#head = head
    this.#service = service
    this.#limit = limit
    this.#exchange = original.plane.newExchange()
    this.#exchange.hostReplaced = original.hostReplaced
    const length = head.chunked ? -1 : Math.max(0, head.contentLength)
    this.#request = { method: original.method, target: original.target, host: original.host, length }
  }

  data(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#limit) this.#body = []
    else this.#body.push(Buffer.from(chunk))
  }

  end(): void {
    if (this.#bytes > this.#limit) return
    this.#exchange.beginAt(this, this.#head, this.#request, this.#service)
  }

  resumeBody(): void {
    const body = this.#body
    this.#body = []
    for (const chunk of body) this.#exchange.clientData(chunk, 0, chunk.length)
    if (!this.#exchange.requestDone) this.#exchange.clientEnd(undefined)
  }

  forwardingLines(): string {
    return this.#forwarding
  }

  sendData(): number {
    return sent.free
  }

  pauseBody(): void {}
  askForBody(): void {}
  sendInformational(): void {}
  sendHead(): void {}
  flush(): number {
    return sent.free
  }
  endSoon(): boolean {
    return false
  }
  sendEnd(): void {}
  flushTurn(): void {}
  written(): void {}
  abort(): void {}
  startTunnel(): void {}
  endTunnel(): void {}
  finished(): void {}
}
