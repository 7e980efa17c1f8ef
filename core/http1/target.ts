/** Request targets and authorities (RFC 9112 §3.2, RFC 3986 §3.2.2). */
import { isHostName, isIpLiteral, isTarget } from './tables.ts'

/**
 * HOT True for a well-formed Host value: reg-name, IPv4 or bracketed IP literal, with an optional port. An empty value
 * is well-formed (RFC 9110 §7.2: authority without a host).
 */
export function isHost(value: string): boolean {
  const length = value.length
  let i = 0
  if (length > 0 && value.charCodeAt(0) === 91) {
    i = 1
    while (i < length && isIpLiteral[value.charCodeAt(i)] === 1) i++
    if (i < 4 - 1 || value.charCodeAt(i) !== 93) return false
    i++
  } else {
    while (i < length && isHostName[value.charCodeAt(i) & 255] === 1) i++
    if (i === 0 && length > 0) return false
  }
  return i === length || isPort(value, i)
}

/** `:` and 0 to 5 digits at `from`, up to 65535. */
function isPort(value: string, from: number): boolean {
  if (value.charCodeAt(from) !== 58) return false
  let port = 0
  for (let i = from + 1; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
    if (port > 65535) return false
  }
  return true
}

/** Host without port, lower case: what routes match on. */
export function hostName(value: string): string {
  const close = value.charCodeAt(0) === 91 ? value.indexOf(']') + 1 : -1
  const colon = close > 0 ? (close < value.length ? close : -1) : value.indexOf(':')
  const name = colon < 0 ? value : value.slice(0, colon)
  return name.toLowerCase()
}

export interface AbsoluteTarget {
  readonly authority: string
  /** Origin-form: path and query, at least `/`. */
  readonly origin: string
}

/** Takes an absolute-form target apart; undefined when it is malformed. Only http and https; no userinfo. */
export function parseAbsolute(target: string): AbsoluteTarget | undefined {
  const scheme = /^https?:\/\//i.exec(target)
  if (!scheme) return undefined
  const rest = target.slice(scheme[0].length)
  const end = rest.search(/[/?]/)
  const authority = end < 0 ? rest : rest.slice(0, end)
  if (authority === '' || authority.startsWith(':') || !isHost(authority)) return undefined
  const tail = end < 0 ? '' : rest.slice(end)
  return { authority, origin: tail.startsWith('/') ? tail : `/${tail}` }
}

/** True for what may stand as an origin-form target: what a filter may write. */
export function isOriginForm(target: string): boolean {
  if (target.charCodeAt(0) !== 47) return false
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i)
    if (code > 255 || isTarget[code] === 0) return false
  }
  return true
}
