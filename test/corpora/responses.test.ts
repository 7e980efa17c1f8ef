import { once } from 'node:events'
import net from 'node:net'
import { beforeAll, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { type BackendConnection, response } from '../harness/raw-backend.ts'
import { RawClient, request } from '../harness/raw-client.ts'
import { until, within } from '../harness/until.ts'
import { corporaDirectory, corporaPresent } from './directory.ts'
import { type Lane, onLanes, startLanes } from './lanes.ts'
import { type LlhttpCase, llhttpCases } from './llhttp.ts'
import { everyByte } from './replay.ts'

const present = corporaPresent()
const cases = present ? llhttpCases(corporaDirectory, 'response') : []

/** Where http-intermediary.md or RFC 9112 lets pass what llhttp's strict mode refuses. */
const overrides: Readonly<Record<string, string>> = {}

async function send(connection: BackendConnection, bytes: Buffer, cuts: readonly number[]): Promise<void> {
  let start = 0
  for (const end of [...cuts, bytes.length]) {
    connection.write(bytes.subarray(start, end))
    if (cuts.length > 0) await new Promise(setImmediate)
    start = end
  }
  connection.end()
}

/** The backend sends the case as its answer and closes; the problems with what the client sees. */
async function replay(lane: Lane, one: LlhttpCase, cuts: readonly number[]): Promise<string[]> {
  await lane.backend.clear()
  lane.backend.script = {
    onRequest: ({ target }, connection) => {
      if (target === '/case') void send(connection, one.bytes, cuts)
      else connection.write(response({ fields: ['X-Id: fresh'], body: 'fresh' }))
    },
  }
  const socket = net.connect({ host: '127.0.0.1', port: lane.port, allowHalfOpen: true, noDelay: true })
  const client = new RawClient(socket)
  try {
    await once(socket, 'connect')
    client.write(request({ target: '/case' }))
    // Only then the next request: bytes that come behind an answer are told from the next answer by nothing but time.
    const over = (): boolean => client.closed || lane.backend.connections.at(-1)?.closed === true
    await until('the connection of the case is over at one end', over)
    if (socket.writable) client.write(request({ target: '/fresh' }))
    client.end()
    await within('the end of the connection', client.whenClosed)
  } finally {
    socket.destroy()
  }
  return judge(one, client)
}

function judge(one: LlhttpCase, client: RawClient): string[] {
  const problems: string[] = []
  const [first, second, ...more] = client.responses
  const aborted = first === undefined
  const own = first?.status === 502 && first.body.toString().includes('MR_UPSTREAM')
  if (client.reader.error !== undefined && !client.reader.error.startsWith('connection ended')) {
    problems.push(`the client was sent no strict HTTP: ${client.reader.error}`)
  }
  const mustFail = one.error !== undefined && one.complete === 0 && overrides[one.name] === undefined
  if (mustFail && !aborted && !own) problems.push(`was forwarded as ${first.startLine}`)
  if (first !== undefined && !own && !one.bytes.toString('latin1').includes(` ${first.status}`)) {
    problems.push(`became ${first.status}`)
  }
  // The good request behind it: answered by the good answer, or not at all where the client had to be aborted.
  if (second === undefined ? !aborted : fieldValue(second, 'x-id') !== 'fresh')
    problems.push('the next answer is wrong')
  if (more.length > 0) problems.push('more answers than requests')
  return problems
}

describe.skipIf(!present)('response collections', () => {
  let lanes: Lane[] = []
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    lanes = await startLanes(8, cleanup)
  })

  async function replayAll(cutsOf: (one: LlhttpCase) => readonly (readonly number[])[]): Promise<string> {
    const problems: string[] = []
    const jobs = cases.flatMap((one) => cutsOf(one).map((cuts) => ({ one, cuts })))
    await onLanes(lanes, jobs, async ({ one, cuts }, lane) => {
      const found = await replay(lane, one, cuts).catch((error: Error) => [error.message])
      for (const problem of found) problems.push(`${one.name}, cut at ${cuts.slice(0, 3)}: ${problem}`)
    })
    return problems.join('\n')
  }

  test('are as many as they were', () => {
    expect(cases.length).toBeGreaterThanOrEqual(65)
  })

  test('replayed whole', async () => {
    expect(await replayAll(() => [[]])).toBe('')
  })

  test('replayed byte by byte', async () => {
    expect(await replayAll(({ bytes }) => [everyByte(bytes)])).toBe('')
  })

  test('replayed split at every offset', { timeout: 120_000 }, async () => {
    expect(await replayAll(({ bytes }) => everyByte(bytes).map((cut) => [cut]))).toBe('')
  })
})
