/** Transports without a reset: unix sockets, on either side. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { simpleConfig, startLb } from '../harness/lb.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

function socketPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'socket')
}

async function unixClient(path: string): Promise<RawClient> {
  const socket = net.connect({ path, allowHalfOpen: true })
  const client = new RawClient(socket)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return client
}

test('a client that goes away from a backend on a unix socket ends its connection alone', async () => {
  const backend = await rawBackend({}, { path: socketPath() })
  const lb = await startLb(simpleConfig([backend]))
  const stays = await rawClient(lb.port)
  stays.expect('GET')
  stays.write(request({ target: '/stays' }))
  const goes = await rawClient(lb.port)
  goes.write(request({ target: '/goes' }))
  await until('both are there', () => backend.requests.length === 2)
  goes.abort()
  const connectionOf = (target: string) =>
    backend.connections.find(({ requests }) => requests[0]?.target === target)
  await until('its connection is closed', () => connectionOf('/goes')?.closed)
  connectionOf('/stays')?.write(response({ body: 'still here' }))
  expect((await stays.response()).body.toString()).toBe('still here')
})

test('a listener on a unix socket that is full turns one connection away, not all', async () => {
  const path = socketPath()
  const backend = await rawBackend()
  await startLb(
    simpleConfig([backend], { listener: { address: `unix:${path}` }, limits: { connections: 1 } }),
  )
  const first = await unixClient(path)
  expect((await first.request(request())).status).toBe(200)
  const second = await unixClient(path)
  await second.ended()
  expect((await first.request(request())).status).toBe(200)
})

test('an answer cut short behind a proxy on a unix socket ends that connection alone', async () => {
  const path = socketPath()
  const backend = await rawBackend((one, connection) => {
    if (one.target === '/short') connection.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    else connection.write(response({ body: 'ok' }))
  })
  await startLb(simpleConfig([backend], { listener: { address: `unix:${path}`, proxyProtocol: true } }))
  const header = 'PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n'
  const stays = await unixClient(path)
  expect((await stays.request(header + request())).status).toBe(200)
  const cut = await unixClient(path)
  cut.write(header + request({ target: '/short' }))
  await cut.ended()
  expect((await stays.request(request())).status).toBe(200)
})
