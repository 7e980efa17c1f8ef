/** What `request.hash` is made of: the service's `key`. */
import type { ServiceConfig } from '../config/snapshot.ts'
import type { Exchange } from './exchange.ts'

/** FNV-1a with a final avalanche (MurmurHash3 fmix32): 32 bits, unsigned. */
export function hashString(value: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193)
  return mix32(hash) >>> 0
}

/** MurmurHash3 fmix32, a bijection: every bit of the input changes about half of the result. Int32. */
export function mix32(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** Value of one cookie (RFC 6265 §5.4 order: the first one counts). */
export function cookieValue(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const eq = pair.indexOf('=')
    if (eq > 0 && pair.slice(0, eq).trim() === name) return pair.slice(eq + 1).trim()
  }
  return undefined
}

/** The key of an exchange; the client's address where the header or cookie is absent. */
export function hashKey(key: ServiceConfig['key'], exchange: Exchange): string {
  switch (key.from) {
    case 'path':
      return exchange.path
    case 'header':
      return exchange.requestFields.get(key.name) ?? exchange.clientAddress
    case 'cookie':
      return cookieValue(exchange.requestFields.get('cookie') ?? '', key.name) ?? exchange.clientAddress
    default:
      return exchange.clientAddress
  }
}
