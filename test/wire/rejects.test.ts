import { describe, expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const proxy = fixture()

/** Name, bytes, and the status where another than 400 says more. */
type Case = readonly [name: string, bytes: string, status?: number]

const post = (line: string, body = 'hello'): string => `POST / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n${body}`
const te = (value: string, body = '5\r\nhello\r\n0\r\n\r\n'): string =>
  post(`Transfer-Encoding:${value}`, body)
const chunks = (body: string): string => te(' chunked', body)
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`
const field = (line: string): string => `GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`

const framing: Case[] = [
  ['repeated Content-Length', post('Content-Length: 5\r\nContent-Length: 6')],
  ['repeated equal Content-Length', post('Content-Length: 5\r\nContent-Length: 5')],
  ['list Content-Length', post('Content-Length: 5, 6')],
  ['list of equal Content-Length', post('Content-Length: 5,5')],
  ['empty Content-Length', post('Content-Length: ')],
  ['positive sign', post('Content-Length: +5')],
  ['negative', post('Content-Length: -5')],
  ['hex', post('Content-Length: 0x5')],
  ['hex digits', post('Content-Length: a', 'x'.repeat(10))],
  ['underscore', post('Content-Length: 1_0', 'x'.repeat(10))],
  ['exponent', post('Content-Length: 1e1', 'x'.repeat(10))],
  ['inner space', post('Content-Length: 5 5')],
  ['decimal point', post('Content-Length: 5.0')],
  ['over 2^53-1', post('Content-Length: 9007199254740992')],
  ['over 2^64', post('Content-Length: 18446744073709551621')],
  ['quoted length', post('Content-Length: "5"')],
  ['length padded with VT', post('Content-Length: \v5')],
  ['length padded with 0xA0', post('Content-Length: \xa05')],
  ['Transfer-Encoding in 1.0', te(' chunked').replace('HTTP/1.1', 'HTTP/1.0')],
  ['another coding', te(' gzip'), 501],
  ['another coding before chunked', te(' gzip, chunked'), 501],
  ['identity', te(' identity'), 501],
  ['xchunked', te(' xchunked')],
  ['chunkedx', te(' chunkedx')],
  ['leading comma', te(' ,chunked')],
  ['trailing comma', te(' chunked,')],
  ['chunked before identity', te(' chunked, identity')],
  ['quoted', te(' "chunked"')],
  ['doubled in one field', te(' chunked, chunked')],
  ['doubled in two fields', te(' chunked\r\nTransfer-Encoding: chunked')],
  ['two fields of two codings', te(' gzip\r\nTransfer-Encoding: chunked')],
  ['empty Transfer-Encoding', te(' ')],
  ['parameter', te(' chunked;a=b')],
  ['padded with VT', te(' \vchunked')],
  ['padded with FF', te(' chunked\f')],
  ['padded with NUL', te(' chunked\0')],
  ['padded with 0x85', te(' chunked\x85')],
  ['padded with 0xA0', te(' \xa0chunked')],
]

const lines: Case[] = [
  ['bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n'],
  ['bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n'],
  ['bare LF at the end', 'GET / HTTP/1.1\r\nHost: a\r\n\n'],
  ['only LFs', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['bare CR in a value', field('X: 1\r2')],
  ['bare CR in the request line', 'GET /\r HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['bare CR for a line end', 'GET / HTTP/1.1\rHost: a\r\n\r\n'],
  ['CR CR LF', 'GET / HTTP/1.1\r\r\nHost: a\r\n\r\n'],
  ['NUL in a value', field('X: 1\x002')],
  ['NUL in a name', field('X\0: 1')],
  ['0x01 in a value', field('X: \x01')],
  ['DEL in a value', field('X: \x7f')],
  ['ESC in a value', field('X: \x1b[0m')],
  ['control in the target', get('/\x01')],
  ['space before the colon', field('X : 1')],
  ['tab before the colon', field('X\t: 1')],
  ['space before the colon of Content-Length', post('Content-Length : 5')],
  ['leading space on the first field', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n'],
  ['leading tab on the first field', 'GET / HTTP/1.1\r\n\tHost: a\r\n\r\n'],
  ['obs-fold', field('X: 1\r\n 2')],
  ['obs-fold with a tab', field('X: 1\r\n\t2')],
  ['a line of white space', field('X: 1\r\n ')],
  ['empty name', field(': 1')],
  ['no colon', field('X')],
  ['name with 0x80', field('X\x80: 1')],
  ['name with a bracket', field('X(: 1')],
  ['method with a space', ' GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['method with a colon', 'G:T / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['method with a bracket', '(GET) / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['empty method', '/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['lower-case version', 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  ['version of one digit', 'GET / HTTP/1\r\nHost: a\r\n\r\n'],
  ['version of three digits', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n'],
  ['version with a sign', 'GET / HTTP/+1.1\r\nHost: a\r\n\r\n'],
  ['version of another protocol', 'GET / ICE/1.0\r\nHost: a\r\n\r\n'],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 505],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ['HTTP/0.9 as a version', 'GET / HTTP/0.9\r\nHost: a\r\n\r\n', 505],
  ['two spaces before the target', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['two spaces before the version', 'GET /  HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['space behind the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n'],
  ['tab for a space', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['space in the target', get('/a b')],
  ['TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
]

const names: Case[] = [
  'Content_Length',
  'content__length',
  'Content--Length',
  'Content-_Length',
  'Transfer_Encoding',
  'transfer-_-encoding',
  'Transfer---Encoding',
  'TRANSFER_ENCODING',
].map((name) => [name, post(`${name}: ${/^c/i.test(name) ? '5' : 'chunked'}`, '')] as const)

const chunkCases: Case[] = [
  ['empty size', chunks('\r\nhello\r\n0\r\n\r\n')],
  ['signed size', chunks('+5\r\nhello\r\n0\r\n\r\n')],
  ['negative size', chunks('-5\r\nhello\r\n0\r\n\r\n')],
  ['0x', chunks('0x5\r\nhello\r\n0\r\n\r\n')],
  ['underscore', chunks('0_5\r\nhello\r\n0\r\n\r\n')],
  ['leading space', chunks(' 5\r\nhello\r\n0\r\n\r\n')],
  ['trailing space', chunks('5 \r\nhello\r\n0\r\n\r\n')],
  ['trailing tab', chunks('5\t\r\nhello\r\n0\r\n\r\n')],
  ['inner space', chunks('0 5\r\nhello\r\n0\r\n\r\n')],
  ['overflow of 2^64', chunks('10000000000000005\r\nhello\r\n0\r\n\r\n')],
  ['overflow of 2^53', chunks('20000000000000\r\nhello\r\n0\r\n\r\n')],
  ['no hex', chunks('g\r\nhello\r\n0\r\n\r\n')],
  ['CR in an extension', chunks('5;a\rb\r\nhello\r\n0\r\n\r\n')],
  ['LF in an extension', chunks('5;a\nb\r\nhello\r\n0\r\n\r\n')],
  ['LF for a line end', chunks('5\nhello\r\n0\r\n\r\n')],
  ['LF after an extension', chunks('5;a\nhello\r\n0\r\n\r\n')],
  ['NUL in an extension', chunks('5;\0\r\nhello\r\n0\r\n\r\n')],
  ['extension without a name', chunks('5;\r\nhello\r\n0\r\n\r\n')],
  ['extension with an open quote', chunks('5;a="b\r\nhello\r\n0\r\n\r\n')],
  ['extension without a semicolon', chunks('5 a\r\nhello\r\n0\r\n\r\n')],
  ['no CRLF after data', chunks('5\r\nhello0\r\n\r\n')],
  ['LF after data', chunks('5\r\nhello\n0\r\n\r\n')],
  ['two bytes that are no CRLF', chunks('5\r\nhelloXX0\r\n\r\n')],
  ['data that is too long', chunks('5\r\nhello!\r\n0\r\n\r\n')],
  ['unbounded extension', chunks(`5;a=${'b'.repeat(100_000)}\r\nhello\r\n0\r\n\r\n`)],
  ['unbounded extensions', chunks(`${'1;a=bbbbbbbbbbbbbbbbbb\r\nh\r\n'.repeat(5_000)}0\r\n\r\n`)],
  ['Content-Length in trailers', chunks('5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n')],
  ['Transfer-Encoding in trailers', chunks('5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n')],
  ['Host in trailers', chunks('5\r\nhello\r\n0\r\nHost: b\r\n\r\n')],
  ['Content_Length in trailers', chunks('5\r\nhello\r\n0\r\nContent_Length: 5\r\n\r\n')],
  ['bare LF in trailers', chunks('5\r\nhello\r\n0\r\nX: 1\n\r\n')],
  ['obs-fold in trailers', chunks('5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n')],
  ['trailers without a colon', chunks('5\r\nhello\r\n0\r\nX\r\n\r\n')],
  ['bare LF at the end', chunks('5\r\nhello\r\n0\r\n\n')],
]

const targets: Case[] = [
  ['fragment', get('/a#b')],
  ['fragment alone', get('#')],
  ['* outside OPTIONS', get('*')],
  ['authority-form outside CONNECT', get('a:80')],
  ['authority alone', get('a')],
  ['host:80:90', 'GET / HTTP/1.1\r\nHost: a:80:90\r\n\r\n'],
  ['host:80:90 in an absolute target', get('http://a:80:90/')],
  ['raw 0x80', get('/\x80')],
  ['raw UTF-8', get('/\xc3\xa9')],
  ['DEL', get('/\x7f')],
  ['no slash', get('a/b')],
  ['empty', 'GET  HTTP/1.1\r\nHost: a\r\n\r\n'],
]

const groups = [
  ['framing', framing],
  ['lines', lines],
  ['names that pass for framing fields', names],
  ['chunks', chunkCases],
  ['targets', targets],
] as const

describe.each(groups)('%s', (_, cases) => {
  const full = cases.map(([name, bytes, status = 400]) => [name, bytes, status] as const)
  test.each(full)('%s', async (_, bytes, status) => {
    const client = await proxy.connect()
    client.write(bytes)
    // A request smuggled behind the bad one must not be seen either.
    client.write(request({ target: '/smuggled' }))
    const how = await client.ended()
    expect(how).not.toBe('open')
    expect(proxy.backend.requests).toEqual([])
    if (client.received.length > 0) {
      expect(client.responses).toHaveLength(1)
      expect(client.responses[0].status).toBe(status)
    } else {
      // An error inside a body may come when an answer is no longer possible; then the connection is cut.
      expect(bytes).toMatch(/\r\n\r\n./)
    }
    await until('no backend connection is left inside a request', () => {
      return proxy.backend.open.every(({ reader }) => reader.idle)
    })
  })
})

describe.each(groups)('%s, byte by byte', (_, cases) => {
  const short = cases.filter(([, bytes]) => bytes.length < 500).map(([name, bytes]) => [name, bytes] as const)
  test.each(short)('%s', async (_, bytes) => {
    const client = await proxy.connect()
    await client.writeSlowly(bytes)
    if (client.ending === 'open' && client.socket.writable) client.end()
    expect(await client.ended()).not.toBe('open')
    expect(proxy.backend.requests).toEqual([])
    expect(client.responses.filter((answer) => answer.status < 400)).toEqual([])
  })
})
