import { expect, test } from 'vitest'
import { load, web } from './load-text.ts'

test.each([
  ['secret-a', 'secret-b'],
  ['secret-b', 'secret-a'],
])('a route without a name is called after its match, without the values of headers: %s, then %s', async (...tokens) => {
  const match = (token: unknown): object => ({ path: '/in', headers: { 'X-Token': token } })
  const routes = [...tokens, true].map((token) => ({ match: match(token), service: 'app' }))
  const services = { app: { backends: ['http://127.0.0.1:9001'] } }
  const text = `${web}routes: ${JSON.stringify(routes)}\nservices: ${JSON.stringify(services)}`
  const names = (await load(text)).snapshot.routes.map(({ name, headers }) => [headers[0].value, name])
  expect(new Map(names as [string | undefined, string][])).toEqual(
    new Map([
      ['secret-a', '*/in [x-token]'],
      ['secret-b', '*/in [x-token] #2'],
      [undefined, '*/in [x-token] #3'],
    ]),
  )
})
