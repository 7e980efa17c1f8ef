import { randomBytes } from 'node:crypto'
import zlib from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { chooseCoding } from '../../../plugins/lib/accept-encoding.ts'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { fieldValue, fieldValues } from '../../harness/message-reader.ts'
import { response } from '../../harness/raw-backend.ts'
import { chunked, rawClient, request } from '../../harness/raw-client.ts'
import { until } from '../../harness/until.ts'
import { freshBackend, type Served, serve } from './serve.ts'

let served: Served
const cleanup = untilFileEnds()
beforeAll(async () => {
  served = await serve(cleanup, {
    all: ['compress'],
    gzip: [{ use: 'compress', encodings: ['gzip'], minimum: '100B', types: ['application/json'] }],
    under: ['compress', { use: 'headers', response: { set: { 'X-Under': '1' } } }],
  })
})
freshBackend(() => served)

const text = 'To be compressed, or not to be. '.repeat(2000)
const decoders = {
  zstd: zlib.zstdDecompressSync,
  br: zlib.brotliDecompressSync,
  gzip: zlib.gunzipSync,
}
const accept = (value: string): string[] => [`Accept-Encoding: ${value}`]

function answerWith(fields: readonly string[], body = text, status = 200): void {
  const type = fields.some((line) => line.startsWith('Content-Type'))
    ? []
    : ['Content-Type: text/plain; charset=utf-8']
  served.backend.respond((_, connection) =>
    connection.write(response({ status, fields: [...type, ...fields], body })),
  )
}

/** The data of the chunks that have come whole. */
function piecesOf(received: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = received.indexOf('\r\n\r\n') + 4; at > 3; ) {
    const line = received.indexOf('\r\n', at)
    const length = Number.parseInt(received.toString('latin1', at, Math.max(at, line)), 16)
    if (line < 0 || line + 2 + length + 2 > received.length) break
    pieces.push(received.subarray(line + 2, line + 2 + length))
    at = line + 2 + length + 2
  }
  return Buffer.concat(pieces)
}

describe('a body', () => {
  test.each(['zstd', 'br', 'gzip'] as const)('is compressed with %s, whole and shorter', async (coding) => {
    answerWith(['ETag: "a"', 'Accept-Ranges: bytes'])
    const answer = await served.ask('all', { fields: accept(coding) })
    expect(fieldValue(answer, 'content-encoding')).toBe(coding)
    expect(fieldValues(answer, 'vary')).toEqual(['Accept-Encoding'])
    expect(fieldValue(answer, 'etag')).toBe('W/"a"')
    expect(fieldValue(answer, 'accept-ranges')).toBeUndefined()
    expect([answer.framing, fieldValue(answer, 'content-length')]).toEqual(['chunked', undefined])
    expect(answer.body.length).toBeLessThan(text.length / 10)
    expect(decoders[coding](answer.body).toString()).toBe(text)
  })

  test('of many pieces comes out as it went in, also for HTTP/1.0 and a slow reader', async () => {
    const body = randomBytes(700_000).toString('hex')
    answerWith(['Transfer-Encoding: chunked'], chunked(body.match(/.{1,9999}/g) ?? []))
    const client = await rawClient(served.lb.port, { paused: true })
    client.write(request({ target: '/all', version: 'HTTP/1.0', fields: accept('gzip') }))
    await until('the backend was asked', () => served.backend.requests.length === 1)
    client.socket.resume()
    const answer = await client.response()
    expect(answer.framing).toBe('close')
    expect(zlib.gunzipSync(answer.body).toString() === body).toBe(true)
  })

  test('reaches the client piece by piece, as the backend sends it', async () => {
    served.backend.respond((_, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n'),
    )
    const client = await rawClient(served.lb.port)
    client.write(request({ target: '/all', fields: accept('gzip') }))
    const seen = (): string => {
      const body = piecesOf(client.received)
      const whole = { finishFlush: zlib.constants.Z_SYNC_FLUSH }
      return body.length === 0 ? '' : zlib.gunzipSync(body, whole).toString()
    }
    for (const piece of ['first ', 'second ', 'third ']) {
      await until('the backend was asked', () => served.backend.requests.length === 1)
      served.backend.connections[0].write(chunked([piece]).slice(0, -5))
      await until(`the client has the ${piece}piece`, () => seen().endsWith(piece))
    }
    served.backend.connections[0].write('0\r\n\r\n')
    expect(zlib.gunzipSync((await client.response()).body).toString()).toBe('first second third ')
  })

  test('that breaks off aborts the client', async () => {
    served.backend.respond((_, connection) =>
      connection.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\nsome'),
    )
    const client = await rawClient(served.lb.port)
    client.write(request({ target: '/all', fields: accept('gzip') }))
    expect(await client.ended()).not.toBe('open')
    expect(client.responses).toEqual([])
  })
})

describe('left as it is', () => {
  test.each([
    ['without Accept-Encoding', [], [], undefined],
    ['for who takes none of ours', accept('compress, identity'), [], undefined],
    ['for who refuses it', accept('gzip;q=0, br;q=0, zstd;q=0'), [], undefined],
    ['compressed already', accept('gzip'), ['Content-Encoding: deflate'], 'deflate'],
    ['of a type that is not in the list', accept('gzip'), ['Content-Type: image/png'], undefined],
    ['with no-transform', accept('gzip'), ['Cache-Control: public, No-Transform'], undefined],
    ['with a digest', accept('gzip'), ['Repr-Digest: sha-256=:AAAA:'], undefined],
    ['events', accept('gzip'), ['Content-Type: text/event-stream'], undefined],
  ])('%s', async (_, fields, said, coding) => {
    answerWith([...said, 'ETag: "a"'])
    const answer = await served.ask('all', { fields })
    expect(fieldValue(answer, 'content-encoding')).toBe(coding)
    expect(fieldValue(answer, 'etag')).toBe('"a"')
    expect(answer.body.toString() === text).toBe(true)
    expect(fieldValue(answer, 'content-length')).toBe(String(text.length))
  })

  test('a short body, and a part of one', async () => {
    answerWith([], 'short')
    expect(
      fieldValue(await served.ask('all', { fields: accept('gzip') }), 'content-encoding'),
    ).toBeUndefined()
    answerWith(['Content-Range: bytes 0-9/99'], text, 206)
    expect(
      fieldValue(await served.ask('all', { fields: accept('gzip') }), 'content-encoding'),
    ).toBeUndefined()
  })

  test('what has no body', async () => {
    for (const status of [204, 304]) {
      answerWith([], '', status)
      const answer = await served.ask('all', { fields: accept('gzip') })
      expect([answer.status, fieldValue(answer, 'content-encoding')]).toEqual([status, undefined])
    }
    served.backend.respond((_, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n'),
    )
    const head = await served.ask('all', { method: 'HEAD', fields: accept('gzip') })
    expect(fieldValue(head, 'content-encoding')).toBeUndefined()
    expect([fieldValue(head, 'vary'), fieldValue(head, 'content-length')]).toEqual([
      'Accept-Encoding',
      '5000',
    ])
  })
})

test('an answer that could be compressed varies, also where it was not', async () => {
  answerWith(['Vary: Origin'])
  expect(fieldValues(await served.ask('all'), 'vary')).toEqual(['Origin', 'Accept-Encoding'])
  answerWith(['Vary: accept-encoding, Origin'])
  expect(fieldValues(await served.ask('all'), 'vary')).toEqual(['accept-encoding, Origin'])
})

test('options choose types, length and codings', async () => {
  answerWith(['Content-Type: Application/JSON'], `"${'x'.repeat(200)}"`)
  const answer = await served.ask('gzip', { fields: accept('zstd, br, gzip') })
  expect(fieldValue(answer, 'content-encoding')).toBe('gzip')
  answerWith([])
  expect(fieldValue(await served.ask('gzip', { fields: accept('gzip') }), 'content-encoding')).toBeUndefined()
})

test.each([
  [undefined, undefined],
  ['', undefined],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['gzip, deflate, br', 'br'],
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip;q=1.0, br;q=0.5', 'gzip'],
  ['br;q=0, *', 'zstd'],
  ['*;q=0', undefined],
  ['*', 'zstd'],
  ['identity, gzip;q=0.5', undefined],
  ['gzip;q=0.5, identity;q=0.1', 'gzip'],
  ['GZIP ; Q=0.3', 'gzip'],
  ['gzip;q=2', undefined],
  ['gzip;q=0.0000', undefined],
])('Accept-Encoding: %s → %s', (value, coding) => {
  expect(chooseCoding(value, ['zstd', 'br', 'gzip'])).toBe(coding)
})
