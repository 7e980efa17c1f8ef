import { afterAll, expect, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { simpleConfig, startLb } from '../harness/lb.ts'
import { type BackendConnection, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const authority = createCertificateAuthority()
afterAll(() => authority.dispose())
const { ca } = authority
const { cert, key } = authority.server(['localhost', '127.0.0.1'])

test('a connection that was busy while TLS settings changed serves nobody under the new ones', async () => {
  const held: BackendConnection[] = []
  const backend = await rawBackend(
    ({ target }, connection) => {
      if (target === '/slow') held.push(connection)
      else connection.write(response({ body: 'ok' }))
    },
    { tls: { cert, key } },
  )
  const config = simpleConfig([backend], { service: { tls: { verify: false } } })
  const lb = await startLb(config)
  const slow = await rawClient(lb.port)
  slow.expect('GET')
  slow.write(request({ target: '/slow' }))
  await until('it is there', () => held.length === 1)
  await lb.apply({
    ...config,
    listeners: { web: { address: `127.0.0.1:${lb.port}` } },
    services: { app: { ...config.services?.app, tls: { ca } } },
  } as typeof config)
  held[0].write(response({ body: 'late' }))
  expect((await slow.response()).body.toString()).toBe('late')
  const next = await rawClient(lb.port)
  expect((await next.request(request())).status).toBe(200)
  expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1])
})
