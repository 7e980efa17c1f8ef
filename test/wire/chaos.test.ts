/**
 * Many clients and a backend that misbehave at random, from a seed: whatever happens, a client that is answered gets its own
 * answer, whole; a request is never served twice where it must not be; and nothing stays behind.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { type Random, seededRandom } from '../fuzz/random.ts'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { type Lb, reusedLb, simpleConfig } from '../harness/lb.ts'
import { fieldValue, type RawRequest, type RawResponse } from '../harness/message-reader.ts'
import { type BackendConnection, type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { type ClientOptions, chunked, type RawClient, rawClient, request } from '../harness/raw-client.ts'

const serve = reusedLb({ directory: fileURLToPath(new URL('.', import.meta.url)) })
const authority = createCertificateAuthority()
afterAll(() => authority.dispose())
const { cert, key } = authority.server(['localhost', '127.0.0.1'])
const local = { cert, key }
const seeds = [1]
const admin = { address: '127.0.0.1:0' }

/** What the body of the answer to a request must be: it depends on the request alone. */
function bodyFor(target: string, body: Buffer): string {
  const size = (target.length * 7_919 + body.length * 31) % 9_000
  return `${target} ${body.length} `.padEnd(size, target)
}

const hints = 'HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n'

function goodAnswer(seen: RawRequest, random: Random): Buffer {
  const body = bodyFor(seen.target, seen.body)
  const name = `X-Target: ${seen.target}`
  const before = Buffer.from(random.chance(0.1) ? hints : '')
  if (seen.method === 'HEAD') {
    return Buffer.concat([
      before,
      Buffer.from(`HTTP/1.1 200 OK\r\n${name}\r\nContent-Length: ${body.length}\r\n\r\n`),
    ])
  }
  if (random.chance(0.1)) return Buffer.concat([before, response({ status: 204, fields: [name] })])
  if (random.chance(0.6)) return Buffer.concat([before, response({ fields: [name], body })])
  const middle = random.below(body.length + 1)
  const pieces = [body.slice(0, middle), body.slice(middle)].filter((piece) => piece !== '')
  const framed = chunked(pieces, random.chance(0.5) ? ['X-Trailer: 1'] : [])
  return Buffer.concat([before, response({ fields: [name, 'Transfer-Encoding: chunked'], body: framed })])
}

/** Writes in one to four pieces, each in a turn of its own. */
function writeInPieces(connection: BackendConnection, bytes: Buffer, random: Random, then: () => void): void {
  const step = Math.ceil(bytes.length / (1 + random.below(4)))
  let at = 0
  const next = (): void => {
    if (at >= bytes.length || connection.closed) then()
    else {
      connection.write(bytes.subarray(at, at + step))
      at += step
      setImmediate(next)
    }
  }
  next()
}

/** Serves the requests of a connection in order, as a backend does, and goes wrong now and then. */
function misbehave(connection: BackendConnection, random: Random, faults: number): void {
  let busy = false
  let served = 0
  const next = (): void => {
    const seen = connection.requests[served]
    if (busy || seen === undefined || connection.closed) return
    served++
    const answer = goodAnswer(seen, random)
    const done = (): void => {
      busy = false
      next()
    }
    busy = true
    const cut = random.below(answer.length)
    const fault = random.chance(faults) ? random.below(8) : 8
    if (fault === 8) writeInPieces(connection, answer, random, done)
    else if (fault === 0) connection.end()
    else if (fault === 1) connection.abort()
    else if (fault === 2) connection.end(answer.subarray(0, cut))
    else if (fault === 3) writeInPieces(connection, answer, random, () => connection.end('trailing garbage'))
    else if (fault === 4) connection.write('HTTP/1.1 200 OK\r\nX : bad\r\n\r\n')
    else if (fault === 5) writeInPieces(connection, answer, random, () => connection.end())
    else if (fault === 6) connection.write(answer.subarray(0, cut))
    else setTimeout(() => writeInPieces(connection, answer, random, done), random.below(120))
  }
  connection.reader.onMessage = () => setImmediate(next)
}

interface Tally {
  whole: number
  failed: number
  posts: number
  readonly wrong: string[]
}

function makeRequest(target: string, random: Random): { method: string; bytes: string; body: string } {
  const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT'])
  const body = method === 'POST' || method === 'PUT' ? 'b'.repeat(random.below(3_000)) : ''
  if (body === '') return { method, body, bytes: request({ method, target }) }
  if (random.chance(0.5)) return { method, body, bytes: request({ method, target, body }) }
  const bytes = request({ method, target, fields: ['Transfer-Encoding: chunked'], body: chunked([body]) })
  return { method, body, bytes }
}

function check(target: string, method: string, body: string, answer: RawResponse, tally: Tally): void {
  if (answer.status >= 500) {
    tally.failed++
    if (method !== 'HEAD' && !answer.body.toString().includes('MR_'))
      tally.wrong.push(`${target}: ${answer.status} of unknown origin`)
    return
  }
  tally.whole++
  const expected = method === 'HEAD' || answer.status === 204 ? '' : bodyFor(target, Buffer.from(body))
  const own = fieldValue(answer, 'x-target') === target && answer.body.toString() === expected
  if (!own)
    tally.wrong.push(`${method} ${target} got ${answer.startLine} for ${fieldValue(answer, 'x-target')}`)
}

/** One client: asks in turn, sometimes several at once, sometimes leaving in the middle. */
async function ask(
  lb: Lb,
  tls: ClientOptions['tls'],
  name: string,
  count: number,
  random: Random,
  tally: Tally,
): Promise<void> {
  let client: RawClient | undefined
  for (let i = 0; i < count; i++) {
    client ??= await rawClient(lb.port, { tls })
    const batch = Array.from({ length: random.chance(0.2) ? 3 : 1 }, (_, n) => {
      const target = `/${name}-${i}-${n}`
      return { target, ...makeRequest(target, random) }
    })
    for (const { method } of batch) client.expect(method)
    const bytes = batch.map((one) => one.bytes).join('')
    if (random.chance(0.08)) {
      client.write(bytes.slice(0, random.below(bytes.length)))
      client.abort()
      client = undefined
      continue
    }
    client.write(bytes)
    for (const { target, method, body } of batch) {
      const answer: RawResponse | undefined = await client.response().catch(() => undefined)
      if (answer !== undefined) check(target, method, body, answer, tally)
      else {
        tally.failed++
        client.socket.destroy()
        client = undefined
        break
      }
    }
  }
  client?.socket.destroy()
}

/** A POST may reach backends once at most, complete or not. */
function sentTwice(backends: readonly RawBackend[]): string[] {
  const seen = new Set<string>()
  const twice: string[] = []
  for (const backend of backends) {
    for (const { received } of backend.connections) {
      for (const [line] of received.toString('latin1').matchAll(/POST \/c\S+ HTTP\/1\.1\r\n/g)) {
        if (seen.has(line)) twice.push(line.trim())
        seen.add(line)
      }
    }
  }
  return twice
}

const plugins = ['../harness/plugins/editing.ts', '../harness/plugins/passing.ts', './plugins/slow-answer.ts']
const filters = ['editing', 'passing', 'slow-answer']

interface Setting {
  readonly name: string
  readonly pipelining: number
  readonly faults: number
  readonly filters?: readonly string[]
  readonly tls?: boolean
  /** Another config again and again: weights change, connections stay. */
  readonly reloads?: boolean
}

const settings: readonly Setting[] = [
  { name: 'one at a time', pipelining: 1, faults: 0.15 },
  { name: 'pipelined', pipelining: 8, faults: 0.1 },
  { name: 'through filters', pipelining: 1, faults: 0.1, filters },
  { name: 'pipelined, through filters', pipelining: 8, faults: 0.1, filters },
  { name: 'over TLS', pipelining: 1, faults: 0.1, tls: true },
  { name: 'pipelined, over TLS, through filters', pipelining: 8, faults: 0.1, tls: true, filters },
  { name: 'with reloads', pipelining: 1, faults: 0.1, reloads: true },
  { name: 'pipelined, with reloads, through filters', pipelining: 8, faults: 0.1, reloads: true, filters },
]

describe.each(settings)('$name', (setting) => {
  const { pipelining, faults, tls } = setting
  test.each(seeds)('seed %i', { timeout: 60_000 }, async (seed) => {
    const random = seededRandom(seed * 1_000 + pipelining)
    const options = tls ? { tls: local } : {}
    const backends = await Promise.all([1, 2, 3].map(() => rawBackend({}, options)))
    for (const backend of backends) {
      backend.script = { onConnection: (connection) => misbehave(connection, random, faults) }
    }
    const config = (weight: number) =>
      simpleConfig([], {
        admin,
        plugins,
        listener: tls ? { tls: local } : {},
        service: {
          backends: backends.map(({ url }, i) => ({ url, weight: i === 0 ? weight : 2 })),
          timeouts: { connect: '5s', firstByte: '300ms', idle: '300ms' },
          connections: { pipelining, max: 6 },
          filters: setting.filters ?? [],
          tls: { ca: authority.ca },
        },
      })
    const lb = await serve(config(1))
    const tally: Tally = { whole: 0, failed: 0, posts: 0, wrong: [] }
    const clientTls = tls ? { ca: authority.ca, servername: 'localhost' } : undefined
    const asking = Promise.all(
      Array.from({ length: 40 }, (_, i) => ask(lb, clientTls, `c${i}`, 25, random, tally)),
    )
    let over = false
    void asking.finally(() => {
      over = true
    })
    for (let weight = 2; setting.reloads && !over; weight = (weight % 7) + 1) await lb.apply(config(weight))
    await asking
    expect(tally.wrong.join('\n')).toBe('')
    expect(tally.whole).toBeGreaterThan(500)
    expect(sentTwice(backends)).toEqual([])
    await expectNothingLeft(lb, backends)
  })
})

async function expectNothingLeft(lb: Lb, backends: readonly RawBackend[]): Promise<void> {
  const names = [
    'requests_in_flight',
    'client_connections',
    'retries_in_flight',
    'pool_queued',
    'backend_in_flight',
  ]
  const read = (): Promise<number[]> => Promise.all(names.map((name) => lb.metric(`millrace_${name}`)))
  let last = await read()
  for (const from = performance.now(); performance.now() - from < 5_000; ) {
    last = await read()
    if (last.every((value) => value === 0)) break
  }
  expect(Object.fromEntries(names.map((name, i) => [name, last[i]]))).toEqual(
    Object.fromEntries(names.map((name) => [name, 0])),
  )
  const open = backends.reduce((sum, backend) => sum + backend.open.length, 0)
  expect(await lb.metric('millrace_pool_open')).toBeLessThanOrEqual(open)
}
