/** Request ids and W3C trace contexts: unique, cheap, and without a system call per request. */

/** Words of random digits made at a time: one conversion to hex serves many requests, whose ids are slices of it. */
const words = 1024

/** Small fast generator (Marsaglia xorshift128, 2003); not for secrets. */
export class Ids {
  readonly #state: Int32Array
  readonly #bytes = Buffer.alloc(words * 4)
  #digits = ''
  #at = 0

  constructor(random: () => number) {
    this.#state = Int32Array.from({ length: 4 }, () => Math.floor(random() * 0xffffffff) | 1)
  }

  #refill(): void {
    let [a, b, c, d] = this.#state
    for (let i = 0; i < words; i++) {
      const t = a ^ (a << 11)
      a = b
      b = c
      c = d
      d = d ^ (d >>> 19) ^ t ^ (t >>> 8)
      this.#bytes.writeInt32LE(d, i * 4)
    }
    this.#state.set([a, b, c, d])
    this.#digits = this.#bytes.toString('hex')
    this.#at = 0
  }

  // HOT
  #hex(count: number): string {
    if (this.#at + count > this.#digits.length) this.#refill()
    this.#at += count
    return this.#digits.slice(this.#at - count, this.#at)
  }

  /** 16 hex digits. */
  requestId(): string {
    return this.#hex(16)
  }

  /** A new root context, not sampled (https://www.w3.org/TR/trace-context/ §3.2). */
  traceparent(): string {
    return `00-${this.#hex(32)}-${this.#hex(16)}-00`
  }
}

const requestIdForm = /^[A-Za-z0-9._~:/+=@,-]{1,128}$/

/** True for a request id from outside that is safe to log and to send on. */
export function isRequestId(value: string): boolean {
  return requestIdForm.test(value)
}
