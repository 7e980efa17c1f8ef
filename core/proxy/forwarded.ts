/** X-Forwarded-* and Forwarded (RFC 7239): ours replace the peer's, unless the peer is a trusted proxy; then ours follow. */
import { field } from '../http1/fields.ts'
import type { MessageHead } from '../http1/head.ts'
import type { TrustedProxies } from './trusted.ts'

/** RFC 9110 §7.6.3: names the version that was received. */
const via = (minor: number): string => (minor === 1 ? 'Via: 1.1 millrace\r\n' : 'Via: 1.0 millrace\r\n')

/** A node of a Forwarded element: IPv6 is bracketed and quoted; what is no address is obfuscated. */
function forwardedNode(address: string): string {
  if (address === '') return 'unknown'
  return address.includes(':') ? `"[${address}]"` : address
}

/** Lines for a peer that is not trusted. */
export function forwardingLines(address: string, scheme: string, host: string, minor: number): string {
  const name = address === '' ? 'unknown' : address
  return (
    `X-Forwarded-For: ${name}\r\nX-Forwarded-Proto: ${scheme}\r\n` +
    (host === '' ? '' : `X-Forwarded-Host: ${host}\r\n`) +
    `Forwarded: for=${forwardedNode(address)};proto=${scheme}\r\n${via(minor)}`
  )
}

/** Lines for a trusted proxy: what it says, then what we see. */
export function appendedLines(peer: string, scheme: string, host: string, head: MessageHead): string {
  const chain = head.joined(field.forwardedFor)
  const elements = head.joined(field.forwarded)
  const own = `for=${forwardedNode(peer)};proto=${scheme}`
  const originalHost = head.known(field.forwardedHost) ?? host
  return (
    `X-Forwarded-For: ${chain === '' ? peer : `${chain}, ${peer}`}\r\n` +
    `X-Forwarded-Proto: ${head.known(field.forwardedProto) ?? scheme}\r\n` +
    (originalHost === '' ? '' : `X-Forwarded-Host: ${originalHost}\r\n`) +
    `Forwarded: ${elements === '' ? own : `${elements}, ${own}`}\r\n${via(head.minor)}`
  )
}

/** `[2001:db8::1]:80`, `[2001:db8::1]`, `192.0.2.1:80`: some proxies say the client's port too. */
const withPort = /^(?:\[(.*)\](?::\d+)?|(\d+(?:\.\d+){3}):\d+)$/

/** The client behind trusted proxies: the last address in the chain that is not itself trusted. */
export function originalAddress(peer: string, head: MessageHead, trusted: TrustedProxies): string {
  const chain = head.joined(field.forwardedFor).split(',')
  for (let i = chain.length - 1; i >= 0; i--) {
    const address = chain[i].trim().replace(withPort, '$1$2')
    if (address === '') break
    if (!trusted.has(address) || i === 0) return address
  }
  return peer
}
