import { expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { fieldValues } from '../harness/message-reader.ts'
import { request } from '../harness/raw-client.ts'

const proxy = fixture()

test('one empty line before a request line is let pass', async () => {
  const client = await proxy.connect()
  expect((await client.request(`\r\n${request()}`)).status).toBe(200)
  expect((await client.request(`\r\n${request({ method: 'POST', body: 'x' })}`)).status).toBe(200)
  await client.writeSlowly(`\r\n${request()}`)
  expect((await client.response()).status).toBe(200)
})

test('two empty lines are not', async () => {
  const client = await proxy.connect()
  expect((await client.request(`\r\n\r\n${request()}`)).status).toBe(400)
})

test('a bare LF before a request line is not', async () => {
  const client = await proxy.connect()
  expect((await client.request(`\n${request()}`)).status).toBe(400)
})

test('obs-text in field values passes unchanged', async () => {
  const client = await proxy.connect()
  const value = '\x80caf\xe9\xff'
  expect((await client.request(request({ fields: [`X-Obs: ${value}`] }))).status).toBe(200)
  expect(fieldValues(proxy.backend.requests[0], 'x-obs')).toEqual([value])
})

test('an empty Host value passes', async () => {
  const client = await proxy.connect()
  expect((await client.request(request({ fields: ['Host:'] }))).status).toBe(200)
  expect(fieldValues(proxy.backend.requests[0], 'host')).toEqual([''])
})

test.each([...'"<>[]{}|\\^`'])('%s in a target passes unchanged', async (char) => {
  const client = await proxy.connect()
  expect((await client.request(request({ target: `/a${char}?b${char}` }))).status).toBe(200)
  expect(proxy.backend.requests[0].target).toBe(`/a${char}?b${char}`)
})

test('lengths with leading zeros and white space around them are read as numbers', async () => {
  const client = await proxy.connect()
  const answer = await client.request(
    request({ method: 'POST', fields: ['Content-Length: \t005 '], body: 'hello' }),
  )
  expect(answer.status).toBe(200)
  expect(proxy.backend.requests[0].body.toString()).toBe('hello')
  expect(proxy.backend.connections[0].error).toBeUndefined()
})

test('chunk extensions are taken and not passed on', async () => {
  const client = await proxy.connect()
  const body = '5;a;b=c;d="e;f\\"g"\r\nhello\r\n0;last\r\n\r\n'
  const answer = await client.request(
    request({ method: 'POST', fields: ['Transfer-Encoding: chunked'], body }),
  )
  expect(answer.status).toBe(200)
  const [seen] = proxy.backend.requests
  expect(seen.body.toString()).toBe('hello')
  expect(proxy.backend.connections[0].received.subarray(seen.head.length).toString('latin1')).not.toContain(
    ';',
  )
})

test('GET and HEAD with a body are forwarded with it', async () => {
  const client = await proxy.connect()
  await client.request(request({ body: 'query' }))
  await client.request(request({ method: 'HEAD', body: 'query' }))
  expect(proxy.backend.requests.map(({ body }) => body.toString())).toEqual(['query', 'query'])
})

test('a method that nobody knows is forwarded', async () => {
  const client = await proxy.connect()
  await client.request(request({ method: "X!#$%&'*+.^_`|~9" }))
  expect(proxy.backend.requests[0].method).toBe("X!#$%&'*+.^_`|~9")
})
