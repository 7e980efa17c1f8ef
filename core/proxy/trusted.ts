/** Which peers' forwarded headers are believed. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export class TrustedProxies {
  readonly #blocks = new BlockList()
  readonly #empty: boolean
  // Connections of one peer come together, and a front proxy is often the only peer: the last answer is kept.
  #lastAddress = ''
  #lastAnswer = false

  /** @param cidrs blocks or single addresses, as the config's reader normalised them */
  constructor(cidrs: readonly string[]) {
    this.#empty = cidrs.length === 0
    for (const cidr of cidrs) {
      const slash = cidr.indexOf('/')
      const address = slash === -1 ? cidr : cidr.slice(0, slash)
      const family = isIPv4(address) ? 'ipv4' : 'ipv6'
      const bits = slash === -1 ? (family === 'ipv4' ? 32 : 128) : Number(cidr.slice(slash + 1))
      this.#blocks.addSubnet(address, bits, family)
    }
  }

  // HOT: once per connection; a filter may ask per request.
  /** @param address of the peer; IPv4-mapped IPv6 counts as IPv4; what is no address (a unix socket) is not trusted */
  has(address: string): boolean {
    if (this.#empty) return false
    if (address === this.#lastAddress) return this.#lastAnswer
    this.#lastAddress = address
    this.#lastAnswer = this.#check(address)
    return this.#lastAnswer
  }

  #check(address: string): boolean {
    if (isIPv4(address)) return this.#blocks.check(address, 'ipv4')
    if (!isIPv6(address)) return false
    // A block list knows IPv4-mapped addresses, but no zones (`fe80::1%eth0`).
    const zone = address.indexOf('%')
    return this.#blocks.check(zone === -1 ? address : address.slice(0, zone), 'ipv6')
  }
}
