/** A filter that returns what it ought to have sent: `X-Return: onRequest answer` says from which hook, and what. */
import { definePlugin, type Filter, type FilterExchange, z } from 'millrace'

const values: Readonly<Record<string, () => unknown>> = {
  answer: () => ({ status: 401, body: 'who are you' }),
  response: () => new Response('no', { status: 403 }),
  later: () => Promise.resolve({ status: 401 }),
  flag: () => true,
  null: () => null,
  nothing: () => Promise.resolve(undefined),
}

function from(hook: string, { request }: FilterExchange): unknown {
  const [wanted, what] = (request.headers.get('x-return') ?? '').split(' ')
  return wanted === hook ? values[what]() : undefined
}

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'returning',
  options: z.strictObject({}),
  create() {
    const hooks = {
      onRequest: (exchange: FilterExchange) => from('onRequest', exchange),
      onAttempt: (exchange: FilterExchange) => from('onAttempt', exchange),
      onResponse: (exchange: FilterExchange) => from('onResponse', exchange),
      onDone: (exchange: FilterExchange) => from('onDone', exchange),
    }
    // The types refuse it; JavaScript does not.
    return hooks as unknown as Filter
  },
})
