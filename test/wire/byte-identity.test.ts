import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../fuzz/random.ts'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Lb, simpleConfig, startLb } from '../harness/lb.ts'
import { type BackendConnection, type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'

const concurrent = 200
const pool = randomBytes(1_500_000)
const sizes = [0, 1, 1_000, 16_384, 65_535, 65_536, 65_537, 131_072, 300_000, 900_000]

interface Transfer {
  readonly index: number
  readonly direction: 'down' | 'up'
  readonly from: number
  readonly size: number
  readonly chunked: boolean
  readonly slowClient: boolean
  readonly slowBackend: boolean
}

const random = seededRandom(42)
const transfers: Transfer[] = Array.from({ length: concurrent }, (_, index) => {
  const size = sizes[index % sizes.length]
  return {
    index,
    direction: index % 2 === 0 ? 'down' : 'up',
    from: random.below(pool.length - size),
    size,
    chunked: random.chance(0.5),
    slowClient: random.chance(0.4),
    slowBackend: random.chance(0.4),
  }
})

const bytesOf = ({ from, size }: Transfer): Buffer => pool.subarray(from, from + size)
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** The body as it goes on the wire, in pieces of uneven size. */
function* pieces(transfer: Transfer): Generator<Buffer> {
  const bytes = bytesOf(transfer)
  const step = 1 + ((transfer.index * 7_919) % 50_000)
  for (let at = 0; at < bytes.length; at += step) {
    const piece = bytes.subarray(at, at + step)
    yield transfer.chunked
      ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
      : piece
  }
  if (transfer.chunked) yield Buffer.from('0\r\n\r\n')
}

const framing = ({ chunked, size }: Transfer): string =>
  chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`

async function writeBody(socket: RawClient['socket'], transfer: Transfer, slow: boolean): Promise<void> {
  for (const piece of pieces(transfer)) {
    const room = socket.write(piece)
    if (!room) await new Promise((resolve) => socket.once('drain', resolve))
    else if (slow) await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Reads in bursts: the socket is paused for a moment after each piece. */
function readSlowly(socket: RawClient['socket']): void {
  socket.on('data', () => {
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
}

function script(backend: RawBackend): void {
  const transferOf = (target: string): Transfer => transfers[Number(target.slice(1))]
  backend.script = {
    onHead: ({ target }, { socket }) => {
      const transfer = transferOf(target)
      if (transfer?.direction === 'up' && transfer.slowBackend) readSlowly(socket)
    },
    onRequest: (seen, connection) => {
      const transfer = transferOf(seen.target)
      if (transfer.direction === 'up') connection.write(response({ body: hash(seen.body) }))
      else void answerDown(connection, transfer)
      seen.body = Buffer.alloc(0)
    },
  }
}

async function answerDown(connection: BackendConnection, transfer: Transfer): Promise<void> {
  connection.write(`HTTP/1.1 200 OK\r\n${framing(transfer)}\r\n\r\n`)
  await writeBody(connection.socket, transfer, transfer.slowBackend)
}

async function run(client: RawClient, transfer: Transfer): Promise<string> {
  const target = `/${transfer.index}`
  if (transfer.slowClient) readSlowly(client.socket)
  if (transfer.direction === 'down') return hash((await client.request(request({ target }))).body)
  client.write(request({ method: 'POST', target, fields: [framing(transfer)] }))
  await writeBody(client.socket, transfer, transfer.slowClient)
  return (await client.response()).body.toString()
}

describe.each([
  'plain',
  'TLS',
])('200 concurrent transfers of random bodies, slow and fast peers, %s', (kind) => {
  const authority = createCertificateAuthority()
  afterAll(() => authority.dispose())
  let lb: Lb
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    const { cert, key } = authority.server(['localhost', '127.0.0.1'])
    const secure = kind === 'TLS'
    const options = { record: false, cleanup, ...(secure ? { tls: { cert, key } } : {}) }
    const backend = await rawBackend({}, options)
    script(backend)
    const settings = secure
      ? { listener: { tls: { cert, key } }, service: { tls: { ca: authority.ca } } }
      : {}
    lb = await startLb(simpleConfig([backend], settings), { cleanup })
  })

  test('arrive byte for byte', { timeout: 60_000 }, async () => {
    const tls = kind === 'TLS' ? { ca: authority.ca, servername: 'localhost' } : undefined
    const clients = await Promise.all(transfers.map(() => rawClient(lb.port, { tls })))
    const results = await Promise.all(transfers.map((transfer, i) => run(clients[i], transfer)))
    const wrong = transfers.filter((transfer, i) => results[i] !== hash(bytesOf(transfer)))
    expect(wrong).toEqual([])
  })
})
