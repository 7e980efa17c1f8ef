import { describe, expect, test } from 'vitest'
import { parseProxyHeader } from '#core/proxy/proxy-protocol'

const text = (line: string): Buffer => Buffer.from(line, 'latin1')

/** A version 2 header: command byte, family byte, payload. */
function binary(command: number, family: number, payload: Buffer): Buffer {
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1')
  head[12] = command
  head[13] = family
  head.writeUInt16BE(payload.length, 14)
  return Buffer.concat([head, payload])
}

const ipv4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 9, 0xdc, 0x04, 0x01, 0xbb])
const ipv6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('00000000000000000000ffff0a010203', 'hex'),
  Buffer.from([0xdc, 0x04, 0x01, 0xbb]),
])
const tlv = Buffer.from([0x03, 0, 4, 1, 2, 3, 4, 0x04, 0, 0])

const accepted: [string, Buffer, string | undefined, string | undefined][] = [
  ['v1 TCP4', text('PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\n'), '192.0.2.1 56324', '198.51.100.9 443'],
  ['v1 TCP6', text('PROXY TCP6 2001:DB8:0::1 ::1 0 65535\r\n'), '2001:db8::1 0', '::1 65535'],
  ['v1 TCP6 mapped', text('PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n'), '192.0.2.1 1', '::1 2'],
  ['v1 UNKNOWN', text('PROXY UNKNOWN\r\n'), undefined, undefined],
  ['v1 UNKNOWN with text', text('PROXY UNKNOWN ffff:f...f 1 2 3 4 5 6\r\n'), undefined, undefined],
  ['v1 of the longest allowed length', text(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`), undefined, undefined],
  ['v2 IPv4', binary(0x21, 0x11, ipv4), '192.0.2.1 56324', '198.51.100.9 443'],
  ['v2 IPv6', binary(0x21, 0x21, ipv6), '2001:db8::1 56324', '10.1.2.3 443'],
  ['v2 with TLVs', binary(0x21, 0x11, Buffer.concat([ipv4, tlv])), '192.0.2.1 56324', '198.51.100.9 443'],
  ['v2 unix', binary(0x21, 0x31, Buffer.alloc(216)), undefined, undefined],
  ['v2 LOCAL', binary(0x20, 0x00, Buffer.alloc(0)), undefined, undefined],
  ['v2 LOCAL with addresses', binary(0x20, 0x11, ipv4), undefined, undefined],
  ['v2 LOCAL of an unknown family', binary(0x20, 0xff, Buffer.alloc(7)), undefined, undefined],
  ['v2 unspecified', binary(0x21, 0x00, Buffer.alloc(7)), undefined, undefined],
]

describe.each(accepted)('%s', (_name, header, source, destination) => {
  test('is read, with its length, whatever follows', () => {
    for (const rest of ['', 'GET / HTTP/1.1\r\n', 'PROXY TCP4 ']) {
      const parsed = parseProxyHeader(Buffer.concat([header, text(rest)]))
      if (parsed.status !== 'ok') throw new Error(JSON.stringify(parsed))
      const render = (side: typeof parsed.source) => side && `${side.address} ${side.port}`
      expect(parsed.length).toBe(header.length)
      expect(render(parsed.source)).toBe(source)
      expect(render(parsed.destination)).toBe(destination)
    }
  })

  test('is incomplete at every byte before its end', () => {
    for (let length = 0; length < header.length; length++) {
      expect(parseProxyHeader(header.subarray(0, length))).toEqual({ status: 'incomplete' })
    }
  })
})

test.each<[string, Buffer]>([
  ['no header at all', text('GET / HTTP/1.1\r\n')],
  ['one wrong byte', text('PROXz')],
  ['lower case', text('proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n')],
  ['unknown family', text('PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n')],
  ['no family', text('PROXY \r\n')],
  ['bare LF', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n')],
  ['CR without LF', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx')],
  ['too few fields', text('PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n')],
  ['too many fields', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n')],
  ['two spaces', text('PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n')],
  ['a tab', text('PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n')],
  ['a NUL after UNKNOWN', text('PROXY UNKNOWN \0\r\n')],
  ['IPv6 in TCP4', text('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['IPv4 in TCP6', text('PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n')],
  ['octal-looking address', text('PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n')],
  ['zone index', text('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['bracketed address', text('PROXY TCP6 [::1] ::1 1 2\r\n')],
  ['port above 65535', text('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n')],
  ['port with leading zero', text('PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n')],
  ['signed port', text('PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n')],
  ['empty port', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n')],
  ['line too long', text(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['line that does not end', text(`PROXY UNKNOWN ${'x'.repeat(92)}`)],
  ['v2 wrong signature', text('\r\n\r\n\0\r\nQUIT\r')],
  ['v2 unknown version', binary(0x11, 0x11, ipv4)],
  ['v2 unknown command', binary(0x22, 0x11, ipv4)],
  ['v2 unknown family', binary(0x21, 0x41, Buffer.alloc(216))],
  ['v2 datagram', binary(0x21, 0x12, ipv4)],
  ['v2 family without protocol', binary(0x21, 0x10, ipv4)],
  ['v2 too short for IPv4', binary(0x21, 0x11, ipv4.subarray(1))],
  ['v2 IPv4 length with the IPv6 family', binary(0x21, 0x21, ipv4)],
  ['v2 too long', binary(0x21, 0x11, Buffer.alloc(2049))],
  ['v2 TLV cut short', binary(0x21, 0x11, Buffer.concat([ipv4, tlv.subarray(0, 5)]))],
  ['v2 TLV head cut short', binary(0x21, 0x11, Buffer.concat([ipv4, Buffer.from([4, 0])]))],
])('refused: %s', (_name, header) => {
  expect(parseProxyHeader(header)).toMatchObject({ status: 'invalid', reason: expect.any(String) })
})

test('a header too long is refused by its length alone, before the bytes come', () => {
  const header = binary(0x21, 0x11, Buffer.alloc(65535))
  expect(parseProxyHeader(header.subarray(0, 16)).status).toBe('invalid')
})
