/** The head of a request as a backend gets it: the client's fields without the hop-by-hop ones, then ours. */
import { field } from '../http1/fields.ts'
import { forwardingFields, keptFields } from '../http1/serialize.ts'
import type { Exchange } from './exchange.ts'

/** In an edited field list: what is written by us. */
const ours = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'host']
/** By what goes with them: a length that no longer holds, an expectation that we have met. */
const skips: readonly ReadonlySet<string>[] = [
  new Set(ours),
  new Set([...ours, 'content-length']),
  new Set([...ours, 'expect']),
  new Set([...ours, 'content-length', 'expect']),
]

// HOT
/** Latin1 text from the request line to the empty line. */
export function requestHead(exchange: Exchange): string {
  const { head, service, upgrade, plane } = exchange
  const hostMode = service!.config.host.mode
  const host =
    hostMode === 'client'
      ? exchange.host
      : hostMode === 'fixed'
        ? service!.config.host.value
        : backendHost(exchange)
  const edited = exchange.fields?.changed === true
  let drop = forwardingFields
  if (exchange.hostReplaced || hostMode !== 'client') drop |= 1 << field.host
  if (exchange.requestLength < 0) drop |= 1 << field.contentLength
  if (exchange.expectAnswered) drop |= 1 << field.expect
  // One that is not safe to log is replaced.
  const foreignId = !edited && head.has(field.requestId) && head.known(field.requestId) !== exchange.id
  if (foreignId) drop |= 1 << field.requestId
  const addId = edited
    ? !exchange.fields!.has('x-request-id')
    : foreignId || !passesOn(exchange, field.requestId, 'x-request-id')
  let text: string
  if (edited) text = editedHead(exchange, host)
  else if ((drop & (1 << field.host)) !== 0) {
    text = `${startLine(exchange)}Host: ${host}\r\n${keptFields(head, drop, exchange.nominated)}`
  } else if (exchange.startLineKept) {
    text = keptFields(head, drop, exchange.nominated, 0)
  } else text = startLine(exchange) + keptFields(head, drop, exchange.nominated)
  if (exchange.requestLength < 0) text += 'Transfer-Encoding: chunked\r\n'
  if (upgrade !== '') text += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  text += exchange.client.forwardingLines(exchange.host)
  const addTrace = edited
    ? !exchange.fields!.has('traceparent')
    : !passesOn(exchange, field.traceparent, 'traceparent')
  if (addId && addTrace && !exchange.hasId) return text + exchange.takeIdLines()
  if (addId) text += `X-Request-Id: ${exchange.id}\r\n`
  return text + (addTrace ? plane.ids.traceLines() : '\r\n')
}

// HOT
/** The client's own field is forwarded: it is there, and Connection does not name it. */
function passesOn({ head, nominated }: Exchange, id: number, name: string): boolean {
  return head.has(id) && (nominated === undefined || !nominated.includes(name))
}

function editedHead(exchange: Exchange, host: string): string {
  const fields = exchange.fields!
  const given = exchange.head.known(field.requestId)
  if (given !== undefined && fields.get('x-request-id') === given && given !== exchange.id) {
    fields.put('X-Request-Id', exchange.id)
  }
  const ownHost = exchange.hostReplaced || exchange.service!.config.host.mode !== 'client'
  const name = ownHost ? host : (fields.get('host') ?? host)
  const skip = (exchange.requestLength < 0 ? 1 : 0) | (exchange.expectAnswered ? 2 : 0)
  return `${startLine(exchange)}Host: ${name}\r\n${fields.lines(skips[skip])}`
}

function startLine(exchange: Exchange): string {
  return `${exchange.method} ${exchange.target} HTTP/1.1\r\n`
}

function backendHost(exchange: Exchange): string {
  const { host, port, protocol, socketPath } = exchange.backend!.config
  if (socketPath) return 'localhost'
  const name = host.includes(':') ? `[${host}]` : host
  return port === (protocol === 'https' ? 443 : 80) ? name : `${name}:${port}`
}
