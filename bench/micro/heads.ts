/** Heads in and heads out, without sockets: the parser, what is kept of a head, and the whole head as a backend or client
 * gets it, written into a buffer as a socket would. */
import { readFraming } from '../../core/http1/framing.ts'
import { MessageHead } from '../../core/http1/head.ts'
import { headResult } from '../../core/http1/parse.ts'
import { HeadScanner } from '../../core/http1/scan.ts'
import { forwardingFields, keptFields } from '../../core/http1/serialize.ts'
import { requestHead } from '../../core/proxy/request-head.ts'
import { framing, responseHead } from '../../core/proxy/response-head.ts'
import { inputs, type MicroCase, type Running } from './case.ts'
import { Exchanges } from './exchanges.ts'
import { headSizes, limits, parsedHead, requestHeads, responseHeads } from './messages.ts'

type Size = keyof typeof headSizes

/** @param withText also makes the string that everything later is cut from, as the proxy does */
function parsing(heads: readonly Buffer[], isRequest: boolean, withText: boolean): Running {
  const head = new MessageHead(limits.fields)
  const scanner = new HeadScanner(0)
  return {
    run(index) {
      const bytes = heads[index & (inputs - 1)]
      head.reset()
      if (scanner.parse(head, bytes, 0, bytes.length, isRequest, limits) !== headResult.done)
        throw new Error(`refused: ${head.reason}`)
      if (!withText) return head.count
      head.text = bytes.toString('latin1', 0, head.length)
      return readFraming(head)
    },
  }
}

function keeping(size: Size): Running {
  const heads = requestHeads(size).map((bytes) => parsedHead(bytes, true))
  return { run: (index) => keptFields(heads[index & (inputs - 1)], forwardingFields, undefined, 0) }
}

/** Room for a head and what is added to it. */
const outBytes = limits.head + 4096

/** @param edited a filter has set a field: the head is put together line by line */
function requestOut(size: Size, edited: boolean): Running {
  const exchanges = new Exchanges(size)
  const out = Buffer.alloc(outBytes)
  return {
    run(index) {
      const exchange = exchanges.request(index)
      if (edited) exchange.requestFields.set('X-Tenant', 'a')
      return out.write(requestHead(exchange), 'latin1')
    },
  }
}

function responseOut(): Running {
  const exchanges = new Exchanges('small')
  const out = Buffer.alloc(outBytes)
  return { run: (index) => out.write(responseHead(exchanges.response(index), framing.length, ''), 'latin1') }
}

type Way = readonly [subject: string, name: string, prepare: (size: Size) => Running]

const ways: readonly Way[] = [
  ['parse', 'request', (size) => parsing(requestHeads(size), true, false)],
  ['parse', 'request and its text', (size) => parsing(requestHeads(size), true, true)],
  ['kept fields', 'request', keeping],
  ['head out', 'request', (size) => requestOut(size, false)],
  ['head out, edited', 'request', (size) => requestOut(size, true)],
]

const responseBytes = responseHeads()[0].length

export const heads: readonly MicroCase[] = [
  ...ways.flatMap(([subject, name, prepare]) =>
    (Object.keys(headSizes) as Size[]).map((size) => ({
      group: 'heads' as const,
      subject,
      name,
      size: headSizes[size],
      unit: 'bytes' as const,
      prepare: () => prepare(size),
    })),
  ),
  {
    group: 'heads',
    subject: 'parse a response',
    name: 'with its text',
    size: responseBytes,
    unit: 'bytes',
    prepare: () => parsing(responseHeads(), false, true),
  },
  {
    group: 'heads',
    subject: 'response head out',
    name: '',
    size: responseBytes,
    unit: 'bytes',
    prepare: responseOut,
  },
]
