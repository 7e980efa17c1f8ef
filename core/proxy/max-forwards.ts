/** Max-Forwards on TRACE and OPTIONS (RFC 9110 §7.6.2): the last hop it names answers itself, others count it down. */
import { field } from '../http1/fields.ts'
import type { MessageHead } from '../http1/head.ts'
import { stride } from '../http1/head.ts'
import type { Exchange } from './exchange.ts'
import { FieldList } from './field-list.ts'
import type { CheckedRequest } from './request-check.ts'
import type { ClientStream } from './stream.ts'

/** Fields that a TRACE must not show (RFC 9110 §9.3.8). */
const sensitive = (1 << field.cookie) | (1 << field.authorization)

/** True: answered here. */
export function answerMaxForwards(
  exchange: Exchange,
  client: ClientStream,
  head: MessageHead,
  checked: CheckedRequest,
  now: number,
): boolean {
  const { method } = checked
  if (method !== 'TRACE' && method !== 'OPTIONS') return false
  const value = head.known(field.maxForwards)!
  if (!/^\d{1,9}$/.test(value)) return false
  if (value !== '0' && Number(value) > 0) {
    exchange.nextMaxForwards = String(Number(value) - 1)
    return false
  }
  exchange.openOnly(client, head, checked, now)
  const fields = new FieldList(undefined, undefined)
  fields.put(
    method === 'TRACE' ? 'Content-Type' : 'Allow',
    method === 'TRACE' ? 'message/http' : 'GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, TRACE',
  )
  exchange.respond({ status: 200, fields, body: method === 'TRACE' ? reflected(head) : Buffer.alloc(0) })
  return true
}

function reflected(head: MessageHead): Buffer {
  let text = head.text.slice(0, head.fieldsStart)
  for (let i = 0; i < head.count; i++) {
    if ((sensitive & (1 << head.ids[i])) !== 0 && head.ids[i] !== 0) continue
    text += `${head.text.slice(head.at[i * stride], head.at[i * stride + 1])}: ${head.value(i)}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}
