import { test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const proxy = fixture({ service: { upgrades: ['websocket'], retries: { attempts: 0 } } })

test('a tunnel lets its client go when the backend never ends its side', { timeout: 40_000 }, async () => {
  proxy.backend.script = {
    onHead: (_, connection) => {
      connection.reader.takeRaw()
      connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
    },
  }
  const client = await proxy.connect()
  client.write(request({ fields: ['Connection: Upgrade', 'Upgrade: websocket'] }))
  await until('the client saw the 101', () => client.reader.messages.length === 1)
  const [connection] = proxy.backend.connections
  connection.halfOpen = true
  client.end()
  await until('the backend saw the end', () => connection.ended)
  // Silent for ten seconds after the client's end.
  await until('the client is let go', () => client.closed, { timeoutMs: 30_000 })
})
