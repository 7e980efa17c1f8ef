/** Replays bytes through the proxy and judges what came out at both ends (http-intermediary.md, "Corpora"). */
import { once } from 'node:events'
import net from 'node:net'
import type { RawRequest, RawResponse } from '../harness/message-reader.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { RawClient, request } from '../harness/raw-client.ts'
import { until, within } from '../harness/until.ts'
import type { Lane } from './lanes.ts'

/**
 * `refuse`: none but the `complete` good messages before the bad one may be served. `answer`: exactly one request, served.
 * `either`: refused, or forwarded so that both ends agree on what was asked and answered.
 */
export type Verdict = 'refuse' | 'answer' | 'either'

export interface ReplayCase {
  readonly name: string
  readonly bytes: Buffer
  readonly verdict: Verdict
  /** Good messages before the bad one. */
  readonly complete: number
}

export interface Outcome {
  /** Complete requests that reached the backend, without the good one that is sent behind the case. */
  readonly requests: readonly RawRequest[]
  readonly answers: readonly RawResponse[]
  /** The good request behind the case was answered on the same connection. */
  readonly wentOn: boolean
}

const after = request({ target: '/after', fields: ['Host: after'] })

/** Cuts the case at the offsets, sends a good request behind it and a FIN, and waits for the end. */
async function exchange(lane: Lane, bytes: Buffer, cuts: readonly number[]): Promise<RawClient> {
  const socket = net.connect({ host: '127.0.0.1', port: lane.port, allowHalfOpen: true, noDelay: true })
  const client = new RawClient(socket)
  try {
    await once(socket, 'connect')
    for (const method of methodsIn(bytes)) client.expect(method)
    if (cuts.length > 0) await client.writeSplit(bytes, cuts)
    else client.write(bytes)
    if (socket.writable) client.write(after)
    client.end()
    await within('the end of the connection', client.whenClosed)
  } finally {
    socket.destroy()
  }
  return client
}

/** Methods of the requests in a case, in order; only HEAD matters to the reader of the answers. */
function methodsIn(bytes: Buffer): string[] {
  const lines = bytes.toString('latin1').match(/(?<=^|\n)[A-Z-]+(?= \S+ HTTP\/1)/g)
  return lines ?? []
}

/** Problems of one replay; empty when the case passes. */
export async function replay(lane: Lane, one: ReplayCase, cuts: readonly number[]): Promise<string[]> {
  const { backend } = lane
  if (backend.connections.length > 20) backend.connections.splice(0, 20 - backend.open.length)
  const firstRequest = backend.requests.length
  const client = await exchange(lane, one.bytes, cuts)
  const settled = (): boolean => backend.open.every(({ reader }) => reader.idle)
  await until('no request is under way at the backend', settled)
  const requests = backend.requests.slice(firstRequest)
  const problems = [
    ...agreement(client, requests, firstRequest),
    ...strictness(lane),
    ...verdict(one, client, requests),
  ]
  return problems
}

/** Both ends agree: what the backend was asked is what the client was answered, in order; then at most one error. */
function agreement(client: RawClient, requests: readonly RawRequest[], firstRequest: number): string[] {
  const problems: string[] = []
  if (client.reader.error !== undefined) problems.push(`answers are not strict HTTP: ${client.reader.error}`)
  const ids = client.responses.map((answer) => fieldValue(answer, 'x-id'))
  const own = ids.indexOf(undefined)
  if (own >= 0 && own < ids.length - 1) problems.push('something was answered behind an error')
  if (own >= 0 && client.responses[own].status < 400) problems.push('an answer of unknown origin')
  const forwarded = ids.filter((id) => id !== undefined)
  const expected = requests.map((_, i) => `${firstRequest + i + 1}`)
  if (JSON.stringify(forwarded) !== JSON.stringify(expected)) {
    problems.push(`backend was asked ${expected}, client was answered ${forwarded}`)
  }
  return problems
}

/** What reached the backend parses under the strict reader; a connection may end inside a request that was aborted. */
function strictness({ backend }: Lane): string[] {
  return backend.connections
    .map(({ error }) => error)
    .filter((error) => error !== undefined && !error.startsWith('connection ended'))
    .map((error) => `not a strict request at the backend: ${error}`)
}

function verdict(one: ReplayCase, client: RawClient, requests: readonly RawRequest[]): string[] {
  const own = requests.filter(({ target }) => target !== '/after')
  const wentOn = requests.length > own.length
  if (one.verdict === 'refuse') {
    const problems = own.length > one.complete ? [`${own.length} requests reached the backend`] : []
    return wentOn ? [...problems, 'the connection was not closed'] : problems
  }
  if (one.verdict === 'answer' && (own.length !== 1 || !wentOn)) {
    return [`not answered: ${client.text.slice(0, 40)}`]
  }
  return []
}

/** Problems with a good request on a fresh connection, which must be answered rightly. */
export async function freshRequest(lane: Lane): Promise<string[]> {
  const id = lane.backend.requests.length + 1
  const socket = net.connect({ host: '127.0.0.1', port: lane.port, allowHalfOpen: true, noDelay: true })
  const client = new RawClient(socket)
  try {
    const answer = await client.request(request({ target: '/fresh' }))
    return answer.body.toString() === `answer ${id}` ? [] : [`fresh request got ${answer.body}`]
  } finally {
    socket.destroy()
  }
}

/** Offsets that cut the first `limit` bytes into single ones. */
export function everyByte(bytes: Buffer, limit = 2_000): number[] {
  return Array.from({ length: Math.max(0, Math.min(bytes.length, limit) - 1) }, (_, i) => i + 1)
}
