import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { rawBackend } from '../harness/raw-backend.ts'
import { RawClient, rawClient, request } from '../harness/raw-client.ts'

const serve = reusedLb()
const directory = mkdtempSync(join(tmpdir(), 'millrace-wire-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('a backend on a unix socket', async () => {
  const backend = await rawBackend(undefined, { path: join(directory, 'backend.sock') })
  const lb = await serve(simpleConfig([backend]))
  const client = await rawClient(lb.port)
  for (let i = 0; i < 3; i++) expect((await client.request(request())).status).toBe(200)
  expect(backend.connections).toHaveLength(1)
  expect(fieldValue(backend.requests[0], 'host')).toBe('test')
})

test('a backend on IPv6', async () => {
  const backend = await rawBackend(undefined, { host: '::1' })
  const lb = await serve(simpleConfig([backend]))
  const client = await rawClient(lb.port)
  expect((await client.request(request())).status).toBe(200)
})

test('a backend by name', async () => {
  const backend = await rawBackend()
  const lb = await serve(simpleConfig([`http://localhost:${backend.port}`]))
  const client = await rawClient(lb.port)
  expect((await client.request(request())).status).toBe(200)
})

test('a listener on a unix socket', async () => {
  const backend = await rawBackend()
  const path = join(directory, 'listener.sock')
  await serve(simpleConfig([backend], { listener: { address: `unix:${path}` } }))
  const socket = net.connect({ path, allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  const client = new RawClient(socket)
  expect((await client.request(request())).status).toBe(200)
  expect((await client.request(request({ method: 'POST', body: 'x' }))).status).toBe(200)
})

test.each([
  ['backend', (url: string) => url.slice('http://'.length)],
  ['other.example:81', () => 'other.example:81'],
  ['client', () => 'test'],
])('`host: %s` chooses the Host that the backend sees', async (host, expected) => {
  const backend = await rawBackend()
  const lb = await serve(simpleConfig([backend], { service: { host } }))
  const client = await rawClient(lb.port)
  await client.request(request())
  expect(fieldValue(backend.requests[0], 'host')).toBe(expected(backend.url))
  expect(fieldValue(backend.requests[0], 'x-forwarded-host')).toBe('test')
})
