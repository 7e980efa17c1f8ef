/** Proof of who sent a message over a bus that others can write to, and that it was not sent before. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export interface Identity {
  readonly id: string
  readonly boot: string
}

export interface Opened {
  readonly from: string
  readonly boot: string
  readonly payload: string
}

/** Senders that are remembered; each start of a node is one. */
const rememberedSenders = 10_000
/** Base64url of 32 bytes. */
const sealLength = 43

/**
 * An envelope is the seal, then JSON: purpose, fleet, sender, boot id, counter, payload. The seal is their HMAC-SHA256 by the key
 * of the fleet, or where there is none their SHA-256: that finds damage, and proves nothing.
 */
export class Envelopes {
  readonly #purpose: string
  readonly #fleet: string
  readonly #self: Identity
  readonly #key: string | undefined
  /** The last counter of each start of a node. */
  readonly #seen = new Map<string, number>()
  #counter = 0

  /** @param purpose kind and name of the plugin: a message to another one is none to this */
  constructor(purpose: string, fleet: string, self: Identity, key: string | undefined) {
    this.#purpose = purpose
    this.#fleet = fleet
    this.#self = self
    this.#key = key
  }

  seal(payload: string): string {
    const { id, boot } = this.#self
    const text = JSON.stringify([this.#purpose, this.#fleet, id, boot, ++this.#counter, payload])
    return this.#sealOf(text) + text
  }

  /** Undefined: not of this fleet and purpose, not proven, or not newer than the last from its sender. */
  open(sealed: string): Opened | undefined {
    const text = sealed.slice(sealLength)
    const given = Buffer.from(sealed.slice(0, sealLength))
    const expected = Buffer.from(this.#sealOf(text))
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    const [purpose, fleet, from, boot, counter, payload] = listOf(text)
    if (purpose !== this.#purpose || fleet !== this.#fleet) return undefined
    if (typeof from !== 'string' || typeof boot !== 'string' || typeof payload !== 'string') return undefined
    if (!Number.isSafeInteger(counter) || !this.#isNew(`${boot} ${from}`, counter as number)) return undefined
    return { from, boot, payload }
  }

  #isNew(sender: string, counter: number): boolean {
    const last = this.#seen.get(sender) ?? 0
    if (counter <= last) return false
    // The sender heard last stands last, so that the one silent for longest is forgotten first.
    this.#seen.delete(sender)
    this.#seen.set(sender, counter)
    if (this.#seen.size > rememberedSenders) this.#seen.delete(this.#seen.keys().next().value as string)
    return true
  }

  #sealOf(text: string): string {
    const hash = this.#key === undefined ? createHash('sha256') : createHmac('sha256', this.#key)
    return hash.update(text).digest('base64url')
  }
}

function listOf(text: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list : []
  } catch {
    return []
  }
}
