import { type FilterExchange, z } from 'millrace'
import { AddressWords } from './address.ts'
import { hashString, mix32 } from './hash.ts'

/** What tells requests apart; the words of a service's `key`. */
export interface KeySource {
  readonly from: 'client-ip' | 'header' | 'route'
  /** Of the header. */
  readonly name: string
}

const keyHint = 'expected client-ip, header:NAME or route'

/** `client-ip`, `header:NAME` or `route`. */
export const requestKey = z
  .string({ error: keyHint })
  .regex(/^(client-ip|route|header:[!#$%&'*+\-.^_`|~0-9A-Za-z]+)$/, keyHint)
  .transform((text): KeySource => {
    const [from, name = ''] = text.split(':')
    return { from: from as KeySource['from'], name: name.toLowerCase() }
  })

/** IPv6 clients own at least a /64 each and may use any address of it: it counts as one. */
const clientBits = 64

/** Hashes the key of a request; holds the place where addresses are taken apart, so that this allocates nothing. */
export class KeyHash {
  readonly #address = new AddressWords()

  // HOT
  /** 32 bits. A request without the header is known by its client's address: leaving it out is no way around. */
  of(source: KeySource, exchange: FilterExchange, seed: number): number {
    if (source.from === 'route') return hashString(exchange.route, seed)
    if (source.from === 'header') {
      const value = exchange.request.headers.get(source.name)
      // Another seed: the value of a header is never taken for an address.
      if (value !== undefined) return hashString(value, seed ^ 0x5bd1e995)
    }
    return this.client(exchange.request.clientAddress, seed)
  }

  // HOT
  client(text: string, seed: number): number {
    const address = this.#address
    if (!address.read(text)) return hashString(text, seed)
    if (!address.isIPv4) address.mask(clientBits)
    const { words } = address
    let hash = seed
    for (let word = 0; word < 4; word++) hash = mix32(Math.imul(hash, 31) ^ words[word])
    return hash
  }
}
