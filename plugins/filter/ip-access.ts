import { definePlugin, type Filter, type OwnResponse, z } from 'millrace'
import { addressBlock, parseBlock } from '../lib/address.ts'
import { AddressTable, type Rule } from '../lib/address-table.ts'

const denied = 0
const allowed = 1

const options = z
  .strictObject({
    allow: z
      .array(addressBlock)
      .default([])
      .describe('Blocks that may pass, such as 10.0.0.0/8, 2001:db8::/32 or ::1'),
    deny: z.array(addressBlock).default([]).describe('Blocks that may not'),
  })
  .superRefine(({ allow, deny }, context) => {
    const known = new Set(allow.map(nameOf))
    for (const [index, text] of deny.entries()) {
      if (!known.has(nameOf(text))) continue
      context.addIssue({ code: 'custom', message: `${text} stands in both lists`, path: ['deny', index] })
    }
  })
type Options = z.output<typeof options>

function nameOf(text: string): string {
  const block = parseBlock(text)
  return block ? `${block.words}/${block.bits}` : text
}

function tableOf({ allow, deny }: Options): AddressTable {
  const rules = (texts: readonly string[], verdict: number): Rule[] =>
    texts.map((text) => ({ block: parseBlock(text)!, verdict }))
  return new AddressTable(
    [...rules(allow, allowed), ...rules(deny, denied)],
    allow.length > 0 ? denied : allowed,
  )
}

const forbidden: OwnResponse = {
  status: 403,
  headers: { 'Cache-Control': 'no-store' },
  body: 'This address has no access.\n',
}

/**
 * Lets addresses in or keeps them out. Of several blocks that hold an address the longest counts, whatever their order. An
 * address that no block holds is let in, unless there is an `allow` list; so is what has no address (a unix socket).
 * IPv4 blocks hold IPv4-mapped IPv6 addresses too; IPv6 blocks such as `::/0` never hold IPv4.
 *
 * The address is the client's: the peer's, or what the PROXY protocol or, with `trustedProxies`, the last X-Forwarded-For
 * entry of an untrusted peer says. Answers 403.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'ip-access',
  description: 'Lets client addresses in or keeps them out, by blocks; the longest counts.',
  options,
  create(context, parsed) {
    let table = tableOf(parsed)
    const refused = context.metrics.counter('ip_access_denied_total', 'Requests of addresses without access')
    return {
      // HOT
      onRequest(exchange) {
        if (table.find(exchange.request.clientAddress) === allowed) return
        refused.add()
        exchange.respond(forbidden)
      },
      reconfigure(next: Options) {
        table = tableOf(next)
      },
    } satisfies Filter
  },
})
