/**
 * A filter that does what the request's `X-Do` says, and logs each hook with the exchange's id, so that a test sees order
 * and number of the calls. Each use has a `name` of its own.
 */
import { definePlugin, type FilterExchange, z } from 'millrace'

type Step = (exchange: FilterExchange) => void | Promise<void>

const steps: Record<string, Step> = {
  respond: (exchange) =>
    exchange.respond({ status: 403, headers: { 'X-Why': 'because' }, body: 'not today' }),
  'respond-empty': (exchange) => exchange.respond({ status: 204 }),
  'respond-injected': (exchange) =>
    exchange.respond({ status: 200, headers: { 'X-A': 'a\r\nX-Injected: 1' } }),
  'respond-framed': (exchange) => {
    exchange.respond({
      status: 200,
      headers: { 'Content-Length': '99', 'Transfer-Encoding': 'chunked' },
      body: 'own',
    })
  },
  'respond-100': (exchange) => exchange.respond({ status: 100 }),
  'respond-204': (exchange) => exchange.respond({ status: 204, body: 'not allowed' }),
  'respond-later': async (exchange) => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    exchange.respond({ status: 401, body: 'who are you' })
  },
  prefer: (exchange) => exchange.prefer(exchange.request.headers.get('x-prefer') ?? ''),
  'send-to': (exchange) => exchange.sendTo(exchange.request.headers.get('x-service') ?? ''),
  'ping-pong': (exchange) => exchange.sendTo(exchange.service === 'app' ? 'other' : 'app'),
  mirror: (exchange) => exchange.mirror('shadow'),
  throw: () => {
    throw new Error('thrown on purpose')
  },
  reject: async () => {
    throw new Error('rejected on purpose')
  },
  hang: (exchange) =>
    new Promise<void>((_, reject) =>
      exchange.signal.addEventListener('abort', () => reject(new Error('aborted'))),
    ),
  edit: ({ request }) => {
    request.target = '/edited?yes'
    request.headers.set('X-Set', 'new')
    request.headers.append('X-Set', 'more')
    request.headers.remove('x-remove')
  },
  'bad-header': ({ request }) => request.headers.set('X-Bad', 'a\r\nX-Injected: 1'),
  'bad-framing': ({ request }) => request.headers.set('Content-Length', '3'),
  'bad-target': ({ request }) => {
    request.target = '/a b'
  },
  'read-body': async ({ request }) => {
    const body = await request.readBody(100)
    request.headers.set('X-Length', `${body.length}`)
  },
}

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'steps',
  options: z.strictObject({ name: z.string().default('steps') }),
  create({ log }, { name }) {
    const say = (hook: string, exchange: FilterExchange): void => {
      log.info(`${name} ${hook}`, {
        target: exchange.request.target,
        outcome: exchange.outcome,
        attempts: exchange.attempts,
      })
    }
    return {
      async onRequest(exchange) {
        say('onRequest', exchange)
        exchange.state = `${name}-state`
        const wanted = exchange.request.headers.get('x-do') ?? ''
        const [who, what] = wanted.includes(':') ? wanted.split(':') : [name, wanted]
        if (who === name || who === '*') await steps[what]?.(exchange)
      },
      onAttempt(exchange) {
        say('onAttempt', exchange)
        exchange.request.headers.set('X-Attempt', `${exchange.attempts}`)
      },
      async onResponse(exchange) {
        say('onResponse', exchange)
        await Promise.resolve()
        if (exchange.request.headers.get('x-do') === 'throw-late') throw new Error('thrown late on purpose')
        exchange.response?.headers.append('X-Seen-By', `${name} ${exchange.state} ${exchange.response.own}`)
        const status = exchange.request.headers.get('x-status')
        if (status !== undefined && exchange.response) exchange.response.status = Number(status)
        const edit = exchange.request.headers.get('x-edit')
        if (edit !== undefined)
          exchange.response?.headers.set(edit, edit === 'X-Bad' ? 'a\r\nX-Injected: 1' : '7')
      },
      onDone(exchange) {
        say(`onDone ${exchange.outcome}`, exchange)
      },
    }
  },
})
