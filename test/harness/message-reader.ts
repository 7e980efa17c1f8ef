/**
 * A second, independent HTTP/1.1 reader for tests: it shares no code with the proxy and accepts only what a sender may
 * write (RFC 9112), so it judges what the proxy puts on the wire. Slow and plain on purpose.
 *
 * Over 300 lines: heads, bodies and trailers of both directions share one cursor.
 */

export type Field = readonly [name: string, value: string]

export interface RawMessage {
  /** `GET / HTTP/1.1` or `HTTP/1.1 200 OK`. */
  startLine: string
  /** In order, case kept, values trimmed. */
  fields: Field[]
  trailers: Field[]
  framing: 'none' | 'length' | 'chunked' | 'close'
  body: Buffer
  /** Sizes of the chunks of a chunked body, without the last one. */
  chunks: number[]
  /** The head as it came, with the empty line. */
  head: string
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const controls = /[\x00-\x08\x0a-\x1f\x7f]/

type State = 'head' | 'length' | 'chunk-size' | 'chunk-data' | 'trailers' | 'until-close' | 'raw'

/** Values of every field of the name, in order. */
export function fieldValues(message: { fields: readonly Field[] }, name: string): string[] {
  const wanted = name.toLowerCase()
  return message.fields.filter(([field]) => field.toLowerCase() === wanted).map(([, value]) => value)
}

/** The value of a field that occurs at most once; joined with `, ` where it does not. */
export function fieldValue(message: { fields: readonly Field[] }, name: string): string | undefined {
  const values = fieldValues(message, name)
  return values.length === 0 ? undefined : values.join(', ')
}

export function parseFields(lines: readonly string[]): Field[] {
  return lines.map((line) => {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0))
    if (!token.test(name)) throw new Error(`bad field name in ${JSON.stringify(line)}`)
    if (controls.test(line)) throw new Error(`control character in ${JSON.stringify(line)}`)
    return [name, line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')] as const
  })
}

/** Body length by RFC 9112 §6.3, without any leniency. */
function bodyFraming(fields: readonly Field[]): { framing: 'none' | 'length' | 'chunked'; length: number } {
  const lengths = fieldValues({ fields }, 'content-length')
  const codings = fieldValues({ fields }, 'transfer-encoding')
  if (codings.length > 0) {
    if (lengths.length > 0) throw new Error('both Content-Length and Transfer-Encoding')
    if (codings.length > 1 || codings[0].toLowerCase() !== 'chunked')
      throw new Error(`coding ${codings.join()}`)
    return { framing: 'chunked', length: 0 }
  }
  if (lengths.length === 0) return { framing: 'none', length: 0 }
  if (lengths.length > 1 || !/^\d{1,15}$/.test(lengths[0])) throw new Error(`length ${lengths.join()}`)
  return { framing: 'length', length: Number(lengths[0]) }
}

export abstract class MessageReader<M extends RawMessage> {
  /** Complete messages, in order. */
  readonly messages: M[] = []
  /** The message whose head is complete but whose body is not. */
  current: M | undefined
  /** Why the bytes are not a sequence of messages; nothing is read after it. */
  error: string | undefined
  /** Bytes after {@link takeRaw}. */
  raw: Buffer = Buffer.alloc(0)
  onHead: ((message: M) => void) | undefined
  onMessage: ((message: M) => void) | undefined
  private state: State = 'head'
  private pending: Buffer = Buffer.alloc(0)
  private pieces: Buffer[] = []
  private left = 0

  /** Checks the start line and builds the message; throws when it is malformed. */
  protected abstract begin(startLine: string, fields: Field[], head: string): M
  /** True when the message has no body whatever its fields say. */
  protected abstract bodyless(message: M): boolean
  /** True when a message without framing fields lasts until the connection is closed. */
  protected abstract closeDelimited(message: M): boolean

  /** True between messages, with nothing of the next one read. */
  get idle(): boolean {
    return this.state === 'head' && this.pending.length === 0
  }

  /** Bytes that belong to no complete message. */
  get rest(): Buffer {
    return Buffer.concat([...this.pieces, this.pending])
  }

  /** Everything from here on is not HTTP: a tunnel. Call it in `onHead`. */
  takeRaw(): void {
    this.state = 'raw'
  }

  push(bytes: Buffer): void {
    if (this.error !== undefined) return
    this.pending = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes])
    try {
      while (this.error === undefined && this.step()) {
        // each step consumes something
      }
    } catch (error) {
      this.error = (error as Error).message
    }
  }

  /** The peer has sent FIN. */
  finish(): void {
    if (this.state === 'until-close') this.complete()
    else if (!this.idle && this.state !== 'raw') this.error ??= `connection ended in state ${this.state}`
  }

  private step(): boolean {
    switch (this.state) {
      case 'raw':
        this.raw = Buffer.concat([this.raw, this.take(this.pending.length)])
        return false
      case 'head':
        return this.readHead()
      case 'length':
      case 'chunk-data':
        return this.readData()
      case 'chunk-size':
        return this.readChunkSize()
      case 'trailers':
        return this.readTrailers()
      default:
        if (this.pending.length > 0) this.pieces.push(this.take(this.pending.length))
        return false
    }
  }

  private take(count: number): Buffer {
    const taken = this.pending.subarray(0, count)
    this.pending = this.pending.subarray(count)
    return taken
  }

  private readHead(): boolean {
    if (this.pending.length === 0) return false
    const end = this.pending.indexOf('\r\n\r\n')
    const known = this.pending.subarray(0, end < 0 ? this.pending.length : end)
    if (known.includes('\n') && known.toString('latin1').replaceAll('\r\n', '').includes('\n')) {
      throw new Error('bare LF in a head')
    }
    if (end < 0) return false
    const head = this.take(end + 4).toString('latin1')
    const [startLine, ...lines] = head.slice(0, -4).split('\r\n')
    const message = this.begin(startLine, parseFields(lines), head)
    this.current = message
    this.pieces = []
    this.enterBody(message)
    this.onHead?.(message)
    if ((this.state as State) === 'raw') this.emit(message)
    else if (message.framing === 'none' || (message.framing === 'length' && this.left === 0)) this.complete()
    return true
  }

  private enterBody(message: M): void {
    const { framing, length } = this.bodyless(message)
      ? { framing: 'none' as const, length: 0 }
      : bodyFraming(message.fields)
    message.framing = framing
    this.left = length
    if (framing === 'chunked') this.state = 'chunk-size'
    else if (framing === 'length') this.state = 'length'
    else if (!this.bodyless(message) && this.closeDelimited(message)) {
      message.framing = 'close'
      this.state = 'until-close'
    }
  }

  private readData(): boolean {
    if (this.left > 0) {
      if (this.pending.length === 0) return false
      const piece = this.take(Math.min(this.left, this.pending.length))
      this.left -= piece.length
      this.pieces.push(piece)
    }
    if (this.left > 0) return false
    if (this.state === 'length') {
      this.complete()
      return true
    }
    if (this.pending.length < 2) return false
    if (this.take(2).toString('latin1') !== '\r\n') throw new Error('no CRLF after chunk data')
    this.state = 'chunk-size'
    return true
  }

  private readChunkSize(): boolean {
    const line = this.readLine()
    if (line === undefined) return false
    if (!/^[0-9A-Fa-f]{1,12}(;[\t\x20-\x7e\x80-\xff]*)?$/.test(line)) {
      throw new Error(`bad chunk line ${JSON.stringify(line)}`)
    }
    this.left = Number.parseInt(line, 16)
    if (this.left > 0) this.current?.chunks.push(this.left)
    this.state = this.left === 0 ? 'trailers' : 'chunk-data'
    return true
  }

  private readTrailers(): boolean {
    const line = this.readLine()
    if (line === undefined) return false
    if (line === '') this.complete()
    else this.current?.trailers.push(...parseFields([line]))
    return true
  }

  private readLine(): string | undefined {
    const end = this.pending.indexOf('\r\n')
    if (end < 0) {
      if (this.pending.includes('\n')) throw new Error('bare LF in a line')
      return undefined
    }
    const line = this.take(end + 2)
      .toString('latin1')
      .slice(0, -2)
    if (/[\r\n]/.test(line)) throw new Error(`bare CR or LF in ${JSON.stringify(line)}`)
    return line
  }

  private complete(): void {
    const message = this.current
    if (message === undefined) return
    message.body = Buffer.concat(this.pieces)
    this.pieces = []
    this.state = 'head'
    this.emit(message)
  }

  private emit(message: M): void {
    this.current = undefined
    this.messages.push(message)
    this.onMessage?.(message)
  }
}

export interface RawRequest extends RawMessage {
  method: string
  target: string
}

export class RequestReader extends MessageReader<RawRequest> {
  protected begin(startLine: string, fields: Field[], head: string): RawRequest {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.1$/.exec(startLine)
    if (match === null) throw new Error(`bad request line ${JSON.stringify(startLine)}`)
    if (fieldValues({ fields }, 'host').length !== 1) throw new Error('not exactly one Host')
    const [, method, target] = match
    return {
      startLine,
      method,
      target,
      fields,
      head,
      trailers: [],
      chunks: [],
      framing: 'none',
      body: Buffer.alloc(0),
    }
  }

  protected bodyless(): boolean {
    return false
  }

  protected closeDelimited(): boolean {
    return false
  }
}

export interface RawResponse extends RawMessage {
  status: number
  reason: string
  /** 1xx responses that came before this one. */
  informational: RawResponse[]
}

export class ResponseReader extends MessageReader<RawResponse> {
  /** Methods of the requests whose responses are awaited; used up by final responses. GET where it is empty. */
  readonly methods: string[] = []
  private early: RawResponse[] = []

  protected begin(startLine: string, fields: Field[], head: string): RawResponse {
    const match = /^HTTP\/1\.1 ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/.exec(startLine)
    if (match === null) throw new Error(`bad status line ${JSON.stringify(startLine)}`)
    const status = Number(match[1])
    const response: RawResponse = {
      startLine,
      status,
      reason: match[2],
      fields,
      head,
      trailers: [],
      chunks: [],
      informational: [],
      framing: 'none',
      body: Buffer.alloc(0),
    }
    if (status < 200) this.early.push(response)
    else {
      response.informational = this.early
      this.early = []
    }
    return response
  }

  protected bodyless(message: RawResponse): boolean {
    const { status } = message
    return status < 200 || status === 204 || status === 304 || this.methodOf(message) === 'HEAD'
  }

  protected closeDelimited(): boolean {
    return true
  }

  /** 1xx responses leave the method to the final one. */
  private methodOf(message: RawResponse): string {
    if (message.status < 200) return 'GET'
    return this.methods[this.finals()] ?? 'GET'
  }

  private finals(): number {
    return this.messages.filter((message) => message.status >= 200).length
  }
}
