/** Where a node of the fleet is reached by the others. */
import { isIPv4, isIPv6 } from 'node:net'

export interface NodeAddress {
  /** Name or address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

/** Of `node.advertise` where it names none; UDP and TCP. */
export const defaultNodePort = 9903

/** `10.0.0.7`, `10.0.0.7:9903`, `lb-1.internal:9902`, `[::1]:9902`, `::1`; undefined when it is none of these. */
export function parseNodeAddress(text: string): NodeAddress | undefined {
  if (isIPv6(text)) return { host: text.toLowerCase(), port: defaultNodePort }
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9_.-]{1,253}))(?::(\d{1,5}))?$/.exec(text)
  if (!match || (match[1] !== undefined && !isIPv6(match[1]))) return undefined
  const port = match[3] === undefined ? defaultNodePort : Number(match[3])
  if (port < 1 || port > 65_535) return undefined
  return { host: (match[1] ?? match[2]).toLowerCase(), port }
}

/** `host:port`, IPv6 in brackets. */
export function nodeAddressText({ host, port }: NodeAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `node.advertise` with its port. */
export function withNodePort(text: string): string {
  const address = parseNodeAddress(text)
  return address ? nodeAddressText(address) : text
}

/** Only this machine reaches it. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return host === '::1' || host === 'localhost'
}
