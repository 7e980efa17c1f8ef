/** Request ids and W3C trace contexts: unique, cheap, and without a system call per request. */

/** Ready-made lines of this many requests are cut from one string. */
const batch = 128

const idBefore = 'X-Request-Id: '
const traceBefore = 'traceparent: 00-'
const idDigits = 16
const traceDigits = 32
const parentDigits = 16
/** Version 00, not sampled (https://www.w3.org/TR/trace-context/ §3.2). */
const template =
  `${idBefore}${'0'.repeat(idDigits)}\r\n` +
  `${traceBefore}${'0'.repeat(traceDigits)}-${'0'.repeat(parentDigits)}-00\r\n\r\n`
const traceLine = idBefore.length + idDigits + 2
/** Both hex digits of each byte, as they lie in memory. */
const hexPairs = new Uint16Array(
  Uint8Array.from(
    Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).join(''),
    (digit) => digit.charCodeAt(0),
  ).buffer,
)

/**
 * Ids of one thread. Their lines are made for many requests at a time, by writing random digits into copies of a
 * template: a request then takes slices of one string, which costs two small allocations instead of about fifteen.
 * The generator is Marsaglia's xorshift128 (2003), seeded once; not for secrets.
 */
export class Ids {
  readonly #state: Int32Array
  readonly #bytes = Buffer.from(Uint8Array.from(template.repeat(batch), (char) => char.charCodeAt(0)).buffer)
  /** The same, two at a time: digits that are made here begin at even places. */
  readonly #pairs = new Uint16Array(this.#bytes.buffer)
  #text = ''
  #next = batch

  constructor(random: () => number) {
    this.#state = Int32Array.from({ length: 4 }, () => Math.floor(random() * 0xffffffff) | 1)
  }

  #refill(): void {
    for (let start = 0; start < this.#bytes.length; start += template.length) {
      const id = start + idBefore.length
      const trace = start + traceLine + traceBefore.length
      this.#digits(id, idDigits)
      this.#digits(trace, traceDigits)
      // Where both are made here, the span is the request.
      this.#bytes.copyWithin(trace + traceDigits + 1, id, id + parentDigits)
    }
    this.#text = this.#bytes.toString('latin1')
    this.#next = 0
  }

  #digits(at: number, count: number): void {
    const state = this.#state
    const pairs = this.#pairs
    for (let i = at; i < at + count; i += 8) {
      const t = state[0] ^ (state[0] << 11)
      state[0] = state[1]
      state[1] = state[2]
      state[2] = state[3]
      let word = state[3] ^ (state[3] >>> 19) ^ t ^ (t >>> 8)
      state[3] = word
      for (let pair = i >> 1; pair < (i >> 1) + 4; pair++) {
        pairs[pair] = hexPairs[word & 255]
        word >>>= 8
      }
    }
  }

  // HOT
  /** Where the lines of the next request begin. */
  #take(): number {
    if (this.#next === batch) this.#refill()
    return this.#next++ * template.length
  }

  /** 16 hex digits. */
  requestId(): string {
    const at = this.#take() + idBefore.length
    return this.#text.slice(at, at + idDigits)
  }

  // HOT
  /** Both lines and the empty line that ends a head. The id in them is `idOf` it. */
  bothLines(): string {
    const at = this.#take()
    return this.#text.slice(at, at + template.length)
  }

  /** A new root context as the last field line, and the empty line that ends a head. */
  traceLines(): string {
    const at = this.#take()
    return this.#text.slice(at + traceLine, at + template.length)
  }

  static idOf(lines: string): string {
    return lines.slice(idBefore.length, idBefore.length + idDigits)
  }
}

const requestIdForm = /^[A-Za-z0-9._~:/+=@,-]{1,128}$/

/** True for a request id from outside that is safe to log and to send on. */
export function isRequestId(value: string): boolean {
  return requestIdForm.test(value)
}
