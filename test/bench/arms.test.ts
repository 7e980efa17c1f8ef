import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Ability, Arm, RunningArm } from '../../bench/arms/arm.ts'
import { findArm } from '../../bench/arms/catalog.ts'
import { makeCertificate } from '../../bench/arms/certificate.ts'
import { pluginArm } from '../../bench/arms/core.ts'
import { defaultMillraceCommand, repository } from '../../bench/arms/millrace.ts'
import { namedArms } from '../../bench/arms/named-arms.ts'
import { Processes } from '../../bench/arms/processes.ts'
import { describeMachine } from '../../bench/stats/machine.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-arms-'))
const processes = new Processes(directory)
const machine = describeMachine(repository)
const certificate = makeCertificate(directory)

const bodies: Readonly<Record<string, Buffer>> = {
  '/0': Buffer.alloc(0),
  '/64': Buffer.alloc(64, 'a'),
  '/1k': Buffer.alloc(1024, 'b'),
  '/64k': Buffer.alloc(64 * 1024, 'c'),
  '/1m': Buffer.alloc(2 ** 20, 'd'),
}

/** What the backend saw, newest last. */
const seen: { readonly headers: IncomingHttpHeaders; readonly address: string; readonly length: number }[] =
  []
const backend = createServer(async (incoming, response) => {
  let length = 0
  for await (const chunk of incoming) length += (chunk as Buffer).length
  seen.push({ headers: incoming.headers, address: incoming.socket.localAddress ?? '', length })
  const body = bodies[incoming.url ?? ''] ?? Buffer.from('other')
  response.writeHead(200, { 'content-length': body.length }).end(body)
})
const client = new Agent({ connect: { rejectUnauthorized: false } })

beforeAll(() => new Promise<void>((resolve) => backend.listen({ port: 0, host: '0.0.0.0' }, () => resolve())))
afterEach(async () => {
  await processes.stopAll()
  seen.length = 0
})
afterAll(async () => {
  await client.destroy()
  backend.closeAllConnections()
  backend.close()
  rmSync(directory, { recursive: true, force: true })
})

interface Changes {
  readonly tls?: typeof certificate
  readonly backendHosts?: string[]
  readonly headers?: Readonly<Record<string, string>>
}

function start(arm: Arm, changes: Changes = {}) {
  return arm.start({
    ...{ processes, directory, random: Math.random, cores: '0', threads: 1, pipelining: 1 },
    ...{ backendPort: (backend.address() as AddressInfo).port, millraceCommand: defaultMillraceCommand },
    ...changes,
  })
}

async function get(running: RunningArm, path: string, scheme = 'http'): Promise<Buffer> {
  const { statusCode, body } = await request(`${scheme}://127.0.0.1:${running.port}${path}`, {
    dispatcher: client,
  })
  expect(statusCode).toBe(200)
  return Buffer.from(await body.arrayBuffer())
}

const isMissing = (name: string): boolean =>
  (name.startsWith('nginx') && machine.nginx === 'absent') ||
  (name === 'haproxy' && machine.haproxy === 'absent')

const names = ['nginx', 'haproxy', 'millrace', 'core', 'floor', 'passthrough', 'http-proxy', 'reply-from']

const able = (ability: Ability): string[] =>
  names.filter((name) => findArm(name).abilities?.includes(ability))

test.for(names)('%s passes every body through, and an upload', async (name, { skip }) => {
  skip(isMissing(name), 'not installed')
  const running = await start(findArm(name))
  for (const [path, body] of Object.entries(bodies))
    expect((await get(running, path)).equals(body), path).toBe(true)
  if (name !== 'floor') expect(seen.at(-1)?.headers['x-forwarded-for']).toMatch(/127\.0\.0\.1$/)
  expect(seen.at(-1)?.headers.host).toBe(`127.0.0.1:${running.port}`)
  const upload = await request(`http://127.0.0.1:${running.port}/64`, {
    ...{ method: 'POST', dispatcher: client, body: Buffer.alloc(2 ** 20, 'u') },
    headers: { 'content-type': 'application/octet-stream' },
  })
  await upload.body.dump()
  expect(upload.statusCode).toBe(200)
  expect(seen.at(-1)?.length).toBe(2 ** 20)
})

test.for(names)('%s closes the connection of a client that asks for it', async (name, { skip }) => {
  skip(isMissing(name), 'not installed')
  const running = await start(findArm(name))
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(running.port, '127.0.0.1').setEncoding('latin1')
    let text = ''
    socket.on('data', (part) => {
      text += part
    })
    socket.on('end', () => resolve(text)).on('error', reject)
    socket.write('GET /1k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  })
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(answer).toMatch(/\r\nconnection: close\r\n/i)
  expect(answer.endsWith(`\r\n\r\n${bodies['/1k'].toString()}`)).toBe(true)
})

test.for(able('tls'))('%s speaks TLS to the client', async (name, { skip }) => {
  skip(isMissing(name), 'not installed')
  const running = await start(findArm(name), { tls: certificate })
  expect((await get(running, '/1k', 'https')).equals(bodies['/1k'])).toBe(true)
})

test.for(able('backends'))('%s spreads over ten backends', async (name, { skip }) => {
  skip(isMissing(name), 'not installed')
  const backendHosts = Array.from({ length: 10 }, (_, at) => `127.0.0.${at + 1}`)
  const running = await start(findArm(name), { backendHosts })
  for (let count = 0; count < 20; count++) await get(running, '/64')
  expect(new Set(seen.map(({ address }) => address))).toEqual(new Set(backendHosts))
})

describe('core with a plugin', () => {
  const tag = join(directory, 'tag.ts')
  writeFileSync(
    tag,
    `import { definePlugin, z } from 'millrace'
export default definePlugin({
  api: 1, kind: 'filter', name: 'tag', options: z.strictObject({ value: z.string().default('plain') }),
  create: (_context, { value }) => ({ onRequest(exchange) { exchange.request.headers.set('x-tag', value) } }),
})`,
  )

  test.each([
    ['core+./tag.ts', 'plain'],
    ['core+./tag.ts={"value":"inline"}', 'inline'],
    ['core+./tag.ts=./tag.yaml', 'from a file'],
  ])('%s: a filter in a file changes the request', async (name, value) => {
    writeFileSync(join(directory, 'tag.yaml'), 'value: from a file\n')
    const {
      names: [only],
      arms,
    } = await namedArms([name], directory)
    expect(only).toBe(name)
    await get(await start(arms[0]), '/64')
    expect(seen.at(-1)?.headers['x-tag']).toBe(value)
  })

  test('a built-in filter changes the request, and core alone does not', async () => {
    const options = { request: { set: { 'x-tag': 'built-in' } } }
    await get(await start(await pluginArm('headers', options)), '/64')
    expect(seen.at(-1)?.headers['x-tag']).toBe('built-in')
    await get(await start(findArm('core')), '/64')
    expect(seen.at(-1)?.headers['x-tag']).toBeUndefined()
  })

  test('an algorithm in a file chooses the backend', async () => {
    const arm = await pluginArm('./examples/primary-first/primary-first.ts', {}, { directory: repository })
    const running = await start(arm, { backendHosts: ['127.0.0.1', '127.0.0.2'] })
    seen.length = 0
    for (let count = 0; count < 6; count++) await get(running, '/64')
    expect(new Set(seen.map(({ address }) => address))).toEqual(new Set(['127.0.0.1']))
  })

  test('one that answers otherwise than was waited for says so at once, with its status and words', async () => {
    writeFileSync(
      join(directory, 'gate.ts'),
      `import { definePlugin, z } from 'millrace'
export default definePlugin({
  api: 1, kind: 'filter', name: 'gate', options: z.strictObject({}),
  create: () => ({
    onRequest(exchange) {
      if (exchange.request.headers.get('x-key') !== '1') exchange.respond({ status: 401, body: 'no key\\nat all' })
    },
  }),
})`,
    )
    const gate = (status?: number) => pluginArm('./gate.ts', {}, { directory, expect: status })
    await expect(start(await gate())).rejects.toMatchObject({
      status: 401,
      text: 'no key',
      message: expect.stringMatching(/^core\S*gate\S* answers 401, not 200, at http:\S+: no key$/),
    })
    expect((await start(await gate(401))).expect).toBe(401)
    expect(seen).toEqual([])
    await start(await gate(), { headers: { 'x-key': '1' } })
    expect(seen.at(-1)?.headers['x-key']).toBe('1')
  })

  test.each(['error-rate', 'maglev', 'http-probe'])('%s runs', async (name) => {
    const running = await start(await pluginArm(name))
    expect((await get(running, '/64')).equals(bodies['/64'])).toBe(true)
  })
})

test('a config of the user is an arm', async () => {
  writeFileSync(
    join(directory, 'lb.yaml'),
    `plugins: [./tag.ts]
filters: [{ use: tag, value: config }]
routes: [{ service: a }]
services: { a: { backends: ["http://10.0.0.1"] } }
`,
  )
  const { arms } = await namedArms(['config:./lb.yaml'], directory)
  await get(await start(arms[0]), '/64')
  expect(seen.at(-1)?.headers['x-tag']).toBe('config')
})
