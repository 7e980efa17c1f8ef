import { isIP } from 'node:net'
import { z } from 'millrace'

/** An address as four 32-bit words, IPv4 as `::ffff:a.b.c.d`. One is reused for every request: reading allocates nothing. */
export class AddressWords {
  readonly words = new Uint32Array(4)

  /** IPv4, or IPv6 with an IPv4 in its last 32 bits. */
  get isIPv4(): boolean {
    const { words } = this
    return words[0] === 0 && words[1] === 0 && words[2] === 0xffff
  }

  // HOT
  /**
   * Takes an address apart. It is lenient with what `net.isIP` refuses, and never throws; a zone (`%eth0`) is left out.
   * @returns false for what is no address, such as that of a unix socket
   */
  read(text: string): boolean {
    const { words } = this
    words.fill(0)
    if (text.length === 0) return false
    if (!text.includes(':')) {
      words[2] = 0xffff
      return this.#readIPv4(text, 0)
    }
    return this.#readIPv6(text)
  }

  /** Sets everything behind the first `bits` bits to zero. */
  mask(bits: number): void {
    for (let word = 0; word < 4; word++) {
      const kept = Math.min(32, Math.max(0, bits - word * 32))
      this.words[word] &= kept === 0 ? 0 : (-1 << (32 - kept)) >>> 0
    }
  }

  #readIPv4(text: string, from: number): boolean {
    let value = 0
    let part = 0
    let dots = 0
    for (let i = from; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code === 46) {
        value = (value << 8) | part
        part = 0
        dots++
      } else if (code >= 48 && code <= 57) part = part * 10 + code - 48
      else return false
      if (part > 255) return false
    }
    this.words[3] = (value << 8) | part
    return dots === 3
  }

  /** RFC 4291 §2.2: groups of 16 bits, one `::` for a run of zeros, the last 32 bits perhaps as IPv4. */
  #readIPv6(text: string): boolean {
    const { words } = this
    let group = 0
    let value = 0
    let start = 0
    let gap = -1
    const zone = text.indexOf('%')
    const end = zone < 0 ? text.length : zone
    for (let i = 0; i <= end; i++) {
      const code = i === end ? 58 : text.charCodeAt(i)
      if (code === 46) {
        if (group > 6 || !this.#readIPv4(zone < 0 ? text : text.slice(0, zone), start)) return false
        const last = words[3]
        words[3] = 0
        // Put back as two groups, so that a gap before them moves them.
        this.#put(group++, last >>> 16)
        this.#put(group++, last & 0xffff)
        break
      }
      if (code !== 58) {
        const digit = hexDigit(code)
        if (digit < 0) return false
        value = (value << 4) | digit
        continue
      }
      if (i > start) {
        if (group > 7 || i - start > 4) return false
        this.#put(group++, value)
      } else if (i > 0 && i < end) gap = group
      value = 0
      start = i + 1
    }
    return gap < 0 ? group === 8 : this.#spread(gap, group)
  }

  #put(group: number, value: number): void {
    this.words[group >> 1] |= (group & 1) === 0 ? value << 16 : value
  }

  #take(group: number): number {
    const word = this.words[group >> 1]
    return (group & 1) === 0 ? word >>> 16 : word & 0xffff
  }

  /** Moves the groups behind `::` to the end. */
  #spread(gap: number, groups: number): boolean {
    for (let from = groups - 1, to = 7; from >= gap && from !== to; from--, to--) {
      const value = this.#take(from)
      this.words[from >> 1] &= (from & 1) === 0 ? 0xffff : 0xffff0000
      this.words[to >> 1] &= (to & 1) === 0 ? 0xffff : 0xffff0000
      this.#put(to, value)
    }
    return groups < 8
  }
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const letter = code | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

/** A block of addresses. */
export interface AddressBlock {
  readonly words: readonly number[]
  /** Of 128; an IPv4 block has 96 more than it is written with. */
  readonly bits: number
  readonly ipv4: boolean
}

/** `10.0.0.0/8`, `2001:db8::/32`, a single address → the block as numbers; undefined where it is none. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [address, prefix = '', extra] = text.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  const widest = family === 4 ? 32 : 128
  const isPlain = text.includes('/') ? /^\d{1,3}$/.test(prefix) && Number(prefix) <= widest : true
  if (family === 0 || extra !== undefined || !isPlain) return undefined
  const length = text.includes('/') ? Number(prefix) : widest
  const bits = family === 4 ? length + 96 : length
  const read = new AddressWords()
  read.read(address)
  read.mask(bits)
  return { words: [...read.words], bits, ipv4: read.isIPv4 && bits >= 96 }
}

/** A block of the config, as it was written. */
export const addressBlock = z
  .string()
  .refine(
    (text) => parseBlock(text) !== undefined,
    'expected an address block such as 10.0.0.0/8 or 2001:db8::/32',
  )
