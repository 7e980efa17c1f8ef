import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { simpleConfig, startLb } from '../harness/lb.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))

test('an algorithm in one file of under 20 lines, loaded by relative path, chooses the backends', async () => {
  expect(readFileSync(`${directory}/plugins/last-one.ts`, 'utf8').trim().split('\n').length).toBeLessThan(20)
  const first = await rawBackend((_, connection) => connection.write(response({ body: 'first' })))
  const last = await rawBackend((_, connection) => connection.write(response({ body: 'last' })))
  const plugins = ['./plugins/last-one.ts']
  const lb = await startLb(simpleConfig([first, last], { plugins, service: { algorithm: 'last-one' } }), {
    directory,
  })
  const client = await rawClient(lb.port)
  for (let i = 0; i < 5; i++) expect((await client.request(request())).body.toString()).toBe('last')
  await last.stop()
  expect((await client.request(request())).body.toString()).toBe('first')
})
