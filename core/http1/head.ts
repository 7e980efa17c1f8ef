/** The head of a message: its bytes as one string, and where everything in it stands. Strings are made only for what is
 * read. Objects are pooled (one per message in flight, none per idle connection). */
import type { ErrorCode } from '../host/errors.ts'
import { fieldCount, knownFields } from './fields.ts'

/** Integers per field in `MessageHead.at`: name start, name end, value start, value end. */
export const stride = 4

export class MessageHead {
  /** Latin1 text that begins with the whole head (what stands behind its `length` is not part of it); set when it is complete. */
  text = ''
  /** Bytes of the head. */
  length = 0
  /** Requests: end of the method, start and end of the target. Responses: `targetStart`/`targetEnd` hold the reason. */
  methodEnd = 0
  targetStart = 0
  targetEnd = 0
  /** Offset of the first field line (past the start line's CRLF). */
  fieldsStart = 0
  /** Minor version of HTTP/1. */
  minor = 1
  status = 0
  count = 0
  /** Bit `1 << id` for each known field that is present. */
  seen = 0
  /** Bit for each known field that is present more than once. */
  repeated = 0
  /** Index of the first field of each known id, valid where its bit is in `seen`. */
  readonly first = new Int16Array(fieldCount)
  /** Known id of each field. */
  ids: Uint8Array
  at: Int32Array
  /** -1 when absent. */
  contentLength = -1
  chunked = false
  /** Parser state: see parse.ts. `scanned` counts from the start of the head. */
  state = 0
  scanned = 0
  mark = 0
  /** The method is HEAD; known as soon as the method is. */
  isHead = false
  isGet = false
  /** Connection is known to say `keep-alive` or `close` and nothing else: it nominates no field. */
  plainConnection = false
  /** Set when the head is refused. */
  error: ErrorCode | undefined = undefined
  reason = ''

  constructor(maxFields: number) {
    this.ids = new Uint8Array(maxFields)
    this.at = new Int32Array(maxFields * stride)
  }

  /** HOT Makes it ready for the next message. */
  reset(): void {
    this.text = ''
    this.length = 0
    this.count = 0
    this.seen = 0
    this.repeated = 0
    this.status = 0
    this.minor = 1
    this.contentLength = -1
    this.chunked = false
    this.state = 0
    this.scanned = 0
    this.mark = 0
    this.isHead = false
    this.isGet = false
    this.plainConnection = false
    this.error = undefined
  }

  has(id: number): boolean {
    return (this.seen & (1 << id)) !== 0
  }

  get method(): string {
    return this.text.slice(0, this.methodEnd)
  }

  get target(): string {
    return this.text.slice(this.targetStart, this.targetEnd)
  }

  name(index: number): string {
    const i = index * stride
    return this.text.slice(this.at[i], this.at[i + 1])
  }

  value(index: number): string {
    const i = index * stride
    return this.text.slice(this.at[i + 2], this.at[i + 3])
  }

  /** HOT True when the value of field `index` is exactly `text`; makes no string. */
  valueIs(index: number, text: string): boolean {
    const i = index * stride
    return this.at[i + 3] - this.at[i + 2] === text.length && this.text.startsWith(text, this.at[i + 2])
  }

  /** HOT True when the field of this id occurs once, with exactly this value. */
  onlyValueIs(id: number, text: string): boolean {
    if ((this.repeated & (1 << id)) !== 0) return false
    return this.valueIs(this.first[id], text)
  }

  /** First value of a known field, or undefined. */
  known(id: number): string | undefined {
    return this.has(id) ? this.value(this.first[id]) : undefined
  }

  /** Every value of a known field joined by `, ` (RFC 9110 §5.3). */
  joined(id: number): string {
    if (!this.has(id)) return ''
    let all = ''
    for (let i = this.first[id]; i < this.count; i++) {
      if (this.ids[i] === id) all += all === '' ? this.value(i) : `, ${this.value(i)}`
    }
    return all
  }

  /** Index of the first field of this lower-case name at or after `from`, or -1. */
  find(lowerName: string, from = 0): number {
    const id = knownFields.get(lowerName)
    if (id !== undefined && !this.has(id)) return -1
    for (let i = from; i < this.count; i++) {
      const start = this.at[i * stride]
      if (this.at[i * stride + 1] - start !== lowerName.length) continue
      if (id !== undefined ? this.ids[i] === id : this.name(i).toLowerCase() === lowerName) return i
    }
    return -1
  }

  /** First value of the field of this lower-case name. */
  get(lowerName: string): string | undefined {
    const index = this.find(lowerName)
    return index < 0 ? undefined : this.value(index)
  }
}
