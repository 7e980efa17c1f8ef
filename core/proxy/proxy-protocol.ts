/**
 * The PROXY protocol, versions 1 and 2, as a receiver (haproxy.org/download/3.0/doc/proxy-protocol.txt). A pure function
 * of the bytes read so far: call it again with more until it is no longer `incomplete`, which it is for 2,064 bytes at
 * most. Strict: what cannot become a header is refused at once; there is no guessing whether one was sent.
 */
import { isIPv4, isIPv6 } from 'node:net'

export interface ProxyAddress {
  readonly address: string
  readonly port: number
}

export type ProxyHeader =
  | { readonly status: 'incomplete' }
  | { readonly status: 'invalid'; readonly reason: string }
  | {
      readonly status: 'ok'
      /** Bytes of the header; what follows belongs to the connection. */
      readonly length: number
      /** undefined: the sender says nothing about the client (LOCAL, UNKNOWN, unix): the peer's own address holds. */
      readonly source: ProxyAddress | undefined
      readonly destination: ProxyAddress | undefined
    }

/** §2.1: the longest possible line with its CRLF. */
const maxLineBytes = 107
/** Bytes after the fixed part of version 2; room for addresses and for TLVs as senders really send them. */
const maxPayloadBytes = 2048

const lineStart = Buffer.from('PROXY ', 'latin1')
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const fixedBytes = 16

const incomplete: ProxyHeader = { status: 'incomplete' }
const invalid = (reason: string): ProxyHeader => ({ status: 'invalid', reason })

function startsLike(buffer: Buffer, expected: Buffer): boolean {
  const length = Math.min(buffer.length, expected.length)
  return buffer.compare(expected, 0, length, 0, length) === 0
}

export function parseProxyHeader(buffer: Buffer): ProxyHeader {
  if (buffer.length === 0) return incomplete
  if (startsLike(buffer, lineStart)) return buffer.length < lineStart.length ? incomplete : parseLine(buffer)
  if (startsLike(buffer, signature))
    return buffer.length < signature.length ? incomplete : parseBinary(buffer)
  return invalid('the connection does not begin with a PROXY header')
}

/** Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`. */
function parseLine(buffer: Buffer): ProxyHeader {
  const end = buffer.indexOf(13)
  const textEnd = end === -1 ? buffer.length : end
  if (textEnd > maxLineBytes - 2) return invalid('the PROXY line is too long')
  for (let i = lineStart.length; i < textEnd; i++) {
    if (buffer[i] < 0x20 || buffer[i] > 0x7e)
      return invalid('the PROXY line has a byte that is not printable ASCII')
  }
  if (end === -1) return incomplete
  if (end + 1 < buffer.length && buffer[end + 1] !== 10)
    return invalid('the PROXY line ends in a CR without LF')
  const fields = buffer.toString('latin1', lineStart.length, end).split(' ')
  const family = fields[0]
  const length = end + 2
  if (family === 'UNKNOWN') {
    // §2.1: whatever stands after UNKNOWN is ignored up to the CRLF.
    if (buffer.length < length) return incomplete
    return { status: 'ok', length, source: undefined, destination: undefined }
  }
  if (family !== 'TCP4' && family !== 'TCP6') return invalid('the PROXY line names an unknown family')
  if (fields.length !== 5) return invalid('the PROXY line does not have two addresses and two ports')
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6
  // A zone index (`fe80::1%eth0`) means nothing on another host.
  if (!isAddress(fields[1]) || !isAddress(fields[2]) || fields[1].includes('%') || fields[2].includes('%')) {
    return invalid('the PROXY line has a malformed address')
  }
  const sourcePort = parsePort(fields[3])
  const destinationPort = parsePort(fields[4])
  if (sourcePort === -1 || destinationPort === -1) return invalid('the PROXY line has a malformed port')
  if (buffer.length < length) return incomplete
  return {
    status: 'ok',
    length,
    source: { address: unmapped(fields[1]), port: sourcePort },
    destination: { address: unmapped(fields[2]), port: destinationPort },
  }
}

/** §2.1: decimal, without leading zeroes. */
function parsePort(text: string): number {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text)) return -1
  const port = Number(text)
  return port > 65535 ? -1 : port
}

/** Bytes of the addresses and ports, by address family: unspecified, IPv4, IPv6, unix. */
const addressBytes = [0, 12, 36, 216] as const

/** Version 2, §2.2. */
function parseBinary(buffer: Buffer): ProxyHeader {
  if (buffer.length > 12) {
    if (buffer[12] >> 4 !== 2) return invalid('the PROXY header has an unknown version')
    if ((buffer[12] & 15) > 1) return invalid('the PROXY header has an unknown command')
  }
  // §2.2: after LOCAL the family and the addresses are ignored, whatever they are.
  const local = (buffer[12] & 15) === 0
  const family = buffer[13] >> 4
  if (
    buffer.length > 13 &&
    !local &&
    buffer[13] !== 0 &&
    !(family >= 1 && family <= 3 && (buffer[13] & 15) === 1)
  ) {
    return invalid('the PROXY header names a family or protocol that is not a stream over IP or unix')
  }
  if (buffer.length < fixedBytes) return incomplete
  const payload = buffer.readUInt16BE(14)
  if (payload > maxPayloadBytes) return invalid('the PROXY header is too long')
  const known = local ? 0 : addressBytes[family]
  if (payload < known) return invalid('the PROXY header is too short for its addresses')
  const length = fixedBytes + payload
  if (buffer.length < length) return incomplete
  if (known === 0) return { status: 'ok', length, source: undefined, destination: undefined }
  if (!validTlvs(buffer, fixedBytes + known, length)) return invalid('the PROXY header has a malformed TLV')
  if (family === 3) return { status: 'ok', length, source: undefined, destination: undefined }
  const size = family === 1 ? 4 : 16
  const ports = fixedBytes + size * 2
  return {
    status: 'ok',
    length,
    source: { address: renderAddress(buffer, fixedBytes, size), port: buffer.readUInt16BE(ports) },
    destination: {
      address: renderAddress(buffer, fixedBytes + size, size),
      port: buffer.readUInt16BE(ports + 2),
    },
  }
}

/** §2.2.1–7: the TLVs (type, 16-bit length, value) are skipped, but they must fill the header exactly. */
function validTlvs(buffer: Buffer, from: number, end: number): boolean {
  let offset = from
  while (offset < end) {
    if (end - offset < 3) return false
    offset += 3 + buffer.readUInt16BE(offset + 1)
  }
  return offset === end
}

/** IPv6 in the canonical form of RFC 5952, IPv4-mapped as IPv4. */
function renderAddress(buffer: Buffer, offset: number, size: number): string {
  if (size === 4) return `${buffer[offset]}.${buffer[offset + 1]}.${buffer[offset + 2]}.${buffer[offset + 3]}`
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(buffer.readUInt16BE(offset + i).toString(16))
  return unmapped(groups.join(':'))
}

function unmapped(address: string): string {
  if (!address.includes(':')) return address
  // URL parsing gives the canonical form: lower case, longest run of zeroes compressed; the brackets are cut off.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (!mapped) return canonical
  const high = Number.parseInt(mapped[1], 16)
  const low = Number.parseInt(mapped[2], 16)
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
