/** Proof of who sent a message that others could have written or recorded, and that it was not heard before. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type SenderProblem, Senders } from './senders.ts'

/** Why a message was dropped. */
export type DropReason =
  /** Damaged, or sealed with no key that is accepted here. */
  | 'unproven'
  /** Proven, and not understood; or longer than any message of ours, and not looked at. */
  | 'malformed'
  /** Of another fleet. */
  | 'foreign'
  | SenderProblem

export interface Opened {
  /** What it was sealed for. */
  readonly purpose: string
  /** Id and boot id of the sender. */
  readonly from: string
  readonly boot: string
  /** Of the message, among all of this start of the sender. */
  readonly counter: number
  readonly payload: Uint8Array
}

export interface EnvelopeDeps {
  readonly fleet: string
  readonly self: { readonly id: string; readonly boot: string }
  /** Secrets of the fleet (`fleetKey`): the first seals, all of them open. None: a checksum, which proves nothing. */
  readonly keys: readonly string[]
  /** Wall clock, milliseconds. */
  wall(): number
  /** A message was dropped. */
  dropped?(reason: DropReason): void
}

/** SHA-256, in bytes and as base64url. */
const sealBytes = 32
const sealCharacters = 43

/**
 * An envelope is a seal, then a line of JSON (purpose, fleet, sender, boot id, when this sender began, counter, when it was sent), then
 * the payload. The seal is the HMAC-SHA-256 of all the rest by the key of the fleet; where there is none its SHA-256: that
 * finds damage. What was heard before, or may have been, is dropped: see {@link Senders}.
 *
 * A fleet's key is changed in three steps, each on all nodes: `[old, new]`, `[new, old]`, `new`.
 */
export class Envelopes {
  readonly #deps: EnvelopeDeps
  readonly #senders: Senders
  readonly #began: number
  #counter = 0

  constructor(deps: EnvelopeDeps) {
    this.#deps = deps
    this.#began = deps.wall()
    this.#senders = new Senders(this.#began)
  }

  /** Of the message that was sealed last. */
  get counter(): number {
    return this.#counter
  }

  /** @param purpose kind and name of the plugin, and which of its messages: one for another purpose is none for this */
  seal(purpose: string, payload: Uint8Array): Uint8Array {
    const body = this.#body(purpose, payload)
    return Buffer.concat([seal(body, this.#deps.keys[0]), body])
  }

  /** As {@link seal}, for a bus that carries text: the payload stays readable. */
  sealText(purpose: string, payload: string): string {
    const body = this.#body(purpose, Buffer.from(payload))
    return seal(body, this.#deps.keys[0]).toString('base64url') + body.toString()
  }

  /** Undefined: it does not prove itself, or was heard before; it was counted. */
  open(sealed: Uint8Array): Opened | undefined {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
    return this.#open(bytes.subarray(0, sealBytes), bytes.subarray(sealBytes))
  }

  openText(sealed: string): Opened | undefined {
    const head = sealed.slice(0, sealCharacters)
    const bytes = Buffer.from(head, 'base64url')
    // The last character holds bits that nobody reads: a changed one is a changed message.
    const given = bytes.toString('base64url') === head ? bytes : Buffer.alloc(0)
    return this.#open(given, Buffer.from(sealed.slice(sealCharacters)))
  }

  #body(purpose: string, payload: Uint8Array): Buffer {
    const { fleet, self, wall } = this.#deps
    const head = [purpose, fleet, self.id, self.boot, this.#began, ++this.#counter, wall()]
    return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), payload])
  }

  #open(given: Buffer, body: Buffer): Opened | undefined {
    const opened = this.#check(given, body)
    if (typeof opened !== 'string') return opened
    this.#deps.dropped?.(opened)
    return undefined
  }

  #check(given: Buffer, body: Buffer): Opened | DropReason {
    if (!this.#proves(given, body)) return 'unproven'
    const end = body.indexOf(10)
    const [purpose, fleet, from, boot, began, counter, sent] = listOf(body.subarray(0, Math.max(0, end)))
    if (typeof purpose !== 'string' || typeof from !== 'string' || typeof boot !== 'string')
      return 'malformed'
    if (!isTime(began) || !isTime(sent) || !isCounter(counter)) return 'malformed'
    if (fleet !== this.#deps.fleet) return 'foreign'
    const problem = this.#senders.take({ from, boot, began, counter, sent }, this.#deps.wall())
    return problem ?? { purpose, from, boot, counter, payload: body.subarray(end + 1) }
  }

  #proves(given: Buffer, body: Buffer): boolean {
    const { keys } = this.#deps
    if (given.length !== sealBytes) return false
    if (keys.length === 0) return timingSafeEqual(given, seal(body, undefined))
    return keys.some((key) => timingSafeEqual(given, seal(body, key)))
  }
}

function seal(body: Uint8Array, key: string | undefined): Buffer {
  const hash = key === undefined ? createHash('sha256') : createHmac('sha256', key)
  return hash.update(body).digest()
}

const isTime = (value: unknown): value is number => Number.isFinite(value)
const isCounter = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0

function listOf(line: Buffer): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(line.toString())
    return Array.isArray(list) ? list : []
  } catch {
    return []
  }
}
