/** Request ids and W3C trace contexts: unique, cheap, and without a system call per request. */

/** Small fast generator (Marsaglia xorshift128, 2003); not for secrets. */
export class Ids {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(random: () => number) {
    const word = (): number => Math.floor(random() * 0xffffffff) | 1
    this.#a = word()
    this.#b = word()
    this.#c = word()
    this.#d = word()
  }

  #word(): number {
    let t = this.#a ^ (this.#a << 11)
    this.#a = this.#b
    this.#b = this.#c
    this.#c = this.#d
    t ^= t >>> 8
    this.#d = this.#d ^ (this.#d >>> 19) ^ t
    return this.#d >>> 0
  }

  #hex(): string {
    return this.#word().toString(16).padStart(8, '0')
  }

  /** 16 hex digits. */
  requestId(): string {
    return this.#hex() + this.#hex()
  }

  /** A new root context, not sampled (https://www.w3.org/TR/trace-context/ §3.2). */
  traceparent(): string {
    return `00-${this.#hex()}${this.#hex()}${this.#hex()}${this.#hex()}-${this.#hex()}${this.#hex()}-00`
  }
}

const traceparentForm = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/

export function isTraceparent(value: string): boolean {
  return traceparentForm.test(value)
}

const requestIdForm = /^[A-Za-z0-9._~:/+=@,-]{1,128}$/

/** True for a request id from outside that is safe to log and to send on. */
export function isRequestId(value: string): boolean {
  return requestIdForm.test(value)
}
