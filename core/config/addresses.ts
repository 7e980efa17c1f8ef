/** Addresses, URLs and names as the config writes them. Each parser returns the parsed value or a {@link Fault};
 * messages never repeat the text, which may come from a secret. */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

/** Never a part of a parsed value. */
export interface Fault {
  readonly fault: string
  readonly suggestion?: string
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
  readonly socketPath: string
}

export interface BackendAddress extends ListenAddress {
  readonly url: string
  readonly protocol: 'http' | 'https'
}

/** Whether only this machine reaches an address. @param host name or address, IPv6 without brackets */
export function isLoopback(host: string): boolean {
  return /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+|localhost)$/i.test(host)
}

/** `sun_path` of Linux holds 108 bytes with its NUL. */
const longestSocketPath = 107

const hostPattern = /^(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

function parseSocketPath(text: string): string | Fault {
  const path = text.replace(/^unix:(?:\/\/(?=\/))?/, '')
  if (!path.startsWith('/'))
    return { fault: 'a unix socket needs an absolute path, such as unix:/run/app.sock' }
  if (path.includes('\0')) return { fault: 'a unix socket path holds no NUL' }
  if (Buffer.byteLength(path) > longestSocketPath)
    return { fault: `a unix socket path has at most ${longestSocketPath} bytes` }
  return path
}

function parsePort(text: string, least: number): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  return port >= least && port <= 65_535 ? port : undefined
}

/** Lower case, punycode, no final dot; undefined when it is no host name or IPv4 address. */
export function normalHostName(text: string): string | undefined {
  const ascii = /[^\0-\x7f]/.test(text) ? domainToASCII(text) : text.toLowerCase()
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii
  return name.length <= 253 && hostPattern.test(name) && !isWrongIPv4(name) ? name : undefined
}

/** `010.0.0.1`, `127.1`, `1.2.3.4.5`: looks like an address and is read differently by different programs. */
function isWrongIPv4(name: string): boolean {
  const last = name.slice(name.lastIndexOf('.') + 1)
  return /^(?:\d+|0x[0-9a-f]*)$/.test(last) && !isIPv4(name)
}

/** `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `unix:/run/lb.sock`. Port 0: any free one. */
export function parseListenAddress(text: string): ListenAddress | Fault {
  if (text.startsWith('unix:')) {
    const socketPath = parseSocketPath(text)
    return typeof socketPath === 'string' ? { host: '', port: 0, socketPath } : socketPath
  }
  if (/^:\d+$/.test(text))
    return { fault: 'expected host:port', suggestion: `write 0.0.0.0${text} or "[::]${text}"` }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]+)):(\d+)$/.exec(text)
  if (!match) {
    if (isIPv6(text)) return { fault: 'an IPv6 address needs brackets and a port, such as "[::1]:8080"' }
    return { fault: 'expected host:port, such as 127.0.0.1:8080 or "[::1]:8080", or unix:/path' }
  }
  const port = parsePort(match[3], 0)
  if (port === undefined) return { fault: 'a port is a number from 0 to 65535' }
  if (match[1] !== undefined) {
    return isIPv6(match[1])
      ? { host: match[1].toLowerCase(), port, socketPath: '' }
      : { fault: 'this is not an IPv6 address' }
  }
  const host = normalHostName(match[2])
  return host === undefined ? { fault: 'this is not a host name or address' } : { host, port, socketPath: '' }
}

/** A backend: `http://host:port`, `https://host`, `unix:/run/app.sock`. */
export function parseBackendUrl(text: string): BackendAddress | Fault {
  if (text.startsWith('unix:')) {
    const socketPath = parseSocketPath(text)
    if (typeof socketPath !== 'string') return socketPath
    return { url: `unix:${socketPath}`, protocol: 'http', host: '', port: 0, socketPath }
  }
  const match = /^(https?):\/\/([^/?#]*)([/?#].*)?$/i.exec(text)
  if (!match) {
    const bare = /^[\w.-]+(?::\d+)?$/.test(text) || /^\[[0-9a-f:.]+\]:\d+$/i.test(text)
    return {
      fault: 'expected a URL such as http://127.0.0.1:9001, https://host or unix:/run/app.sock',
      suggestion: bare ? `did you mean "http://${text}"?` : undefined,
    }
  }
  const [, scheme, authority, rest] = match
  if (rest !== undefined && rest !== '/') return { fault: 'a backend URL has no path, query or fragment' }
  if (authority.includes('@')) return { fault: 'a backend URL has no user name or password' }
  const protocol = scheme.toLowerCase() === 'https' ? 'https' : 'http'
  return parseAuthority(authority, protocol)
}

function parseAuthority(authority: string, protocol: 'http' | 'https'): BackendAddress | Fault {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]+))(?::(\d+))?$/.exec(authority)
  if (!match) return { fault: 'expected host or host:port after ://; an IPv6 address stands in brackets' }
  const port = match[3] === undefined ? (protocol === 'https' ? 443 : 80) : parsePort(match[3], 1)
  if (port === undefined) return { fault: 'a port of a backend is a number from 1 to 65535' }
  if (match[1] !== undefined) {
    if (!isIPv6(match[1]) || match[1].includes('%')) return { fault: 'this is not an IPv6 address' }
    const host = new URL(`http://[${match[1]}]`).hostname.slice(1, -1)
    return { url: `${protocol}://[${host}]:${port}`, protocol, host, port, socketPath: '' }
  }
  const host = normalHostName(match[2])
  if (host === undefined) return { fault: 'this is not a host name or address' }
  return { url: `${protocol}://${host}:${port}`, protocol, host, port, socketPath: '' }
}

/** Host of a route or an SNI name: exact, or `*.` and a name. `*` alone is any host (undefined). */
export function parseHostMatch(text: string): { readonly host: string | undefined } | Fault {
  if (text === '*') return { host: undefined }
  if (/^\[[0-9a-f:.]+\]$/i.test(text) && isIPv6(text.slice(1, -1))) return { host: text.toLowerCase() }
  const wildcard = text.startsWith('*.')
  const host = normalHostName(wildcard ? text.slice(2) : text)
  if (host !== undefined) return { host: wildcard ? `*.${host}` : host }
  if (/:\d+$/.test(text)) return { fault: 'a host is matched without its port' }
  if (text.includes('*'))
    return { fault: 'a wildcard stands for whole labels at the start, such as *.example.com' }
  return { fault: 'expected a host name such as shop.example.com or *.example.com' }
}

/** Host header sent to backends: `name`, `name:port`, `[::1]:port`. */
export function parseHostHeader(text: string): { readonly value: string } | Fault {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d+))?$/i.exec(text)
  const name = match?.[1].startsWith('[')
    ? isIPv6(match[1].slice(1, -1)) && match[1].toLowerCase()
    : match && normalHostName(match[1])
  if (!match || !name || (match[2] !== undefined && parsePort(match[2], 1) === undefined))
    return { fault: 'expected `backend`, `client`, or a host name with or without a port' }
  return { value: match[2] === undefined ? name : `${name}:${match[2]}` }
}

/** `10.0.0.0/8`, `::1` → CIDR block with its prefix length written out. */
export function parseCidr(text: string): { readonly cidr: string } | Fault {
  const [address, prefix, extra] = text.split('/')
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 && !address.includes('%') ? 128 : 0
  const fault = 'expected an address block such as 10.0.0.0/8 or 2001:db8::/32'
  if (bits === 0 || extra !== undefined) return { fault }
  if (prefix === undefined) return { cidr: `${address.toLowerCase()}/${bits}` }
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits)
    return { fault: `a prefix length here is 0 to ${bits}` }
  return { cidr: `${address.toLowerCase()}/${Number(prefix)}` }
}
