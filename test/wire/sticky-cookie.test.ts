import { afterAll, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { reusedLb, simpleConfig, startLb } from '../harness/lb.ts'
import { fieldValue, fieldValues, type RawResponse } from '../harness/message-reader.ts'
import { type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'

const serve = reusedLb()
const first = 'the first secret of ours'
const second = 'another secret of ours'

/** Backends that answer with their index. */
function named(count: number): Promise<RawBackend[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      rawBackend((_request, connection) => connection.write(response({ body: `${index}` }))),
    ),
  )
}

const sticky = (options: object = {}) => ({ use: 'sticky-cookie', secrets: first, name: 'at', ...options })

async function ask(port: number, cookie?: string): Promise<RawResponse> {
  const client = await rawClient(port)
  return client.request(request(cookie === undefined ? {} : { fields: [`Cookie: ${cookie}`] }))
}

const cookieOf = (answer: RawResponse): string => (fieldValue(answer, 'set-cookie') ?? '').split(';')[0]
const bodyOf = (answer: RawResponse): string => answer.body.toString()

test('keeps a client at the backend that answered it first, and tells it once', async () => {
  const backends = await named(4)
  const lb = await serve(simpleConfig(backends, { service: { filters: [sticky()] } }))
  const answers = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(() => ask(lb.port)))
  const homes = new Map(answers.map((answer) => [bodyOf(answer), cookieOf(answer)]))
  expect(homes.size).toBe(4)
  for (const [home, cookie] of homes) {
    for (let i = 0; i < 5; i++) {
      const answer = await ask(lb.port, `a=b; ${cookie}; at2=x`)
      expect([bodyOf(answer), fieldValues(answer, 'set-cookie')]).toEqual([home, []])
    }
  }
})

test('the cookie is a token that names no backend, with the attributes asked for', async () => {
  const backends = await named(1)
  const lb = await serve(
    simpleConfig(backends, {
      service: { filters: [sticky({ maxAge: '1h', sameSite: 'strict', path: '/app' })] },
    }),
  )
  const value = fieldValue(await ask(lb.port), 'set-cookie') ?? ''
  expect(value).toMatch(/^at=[\w-]{43}; Path=\/app; Max-Age=3600; HttpOnly; SameSite=Strict$/)
  const bytes = Buffer.from(cookieOf(await ask(lb.port)).slice(3), 'base64url').toString('latin1')
  const { port } = new URL(backends[0].url)
  for (const shown of [value, bytes]) expect(shown).not.toContain(port)
})

test.each([
  ['made up', `at=${'A'.repeat(43)}`],
  ['cut short', 'at=AAAA'],
  ['of another secret', ''],
  ['beyond ASCII', `at=${'\u00e9'.repeat(43)}`],
  ['with its end changed', 'changed'],
])('a cookie that is %s counts for nothing and is replaced', async (_what, given) => {
  const backends = await named(3)
  const foreign = await serve(simpleConfig(backends, { service: { filters: [sticky({ secrets: second })] } }))
  const other = cookieOf(await ask(foreign.port))
  const lb = await serve(simpleConfig(backends, { service: { filters: [sticky()] } }))
  const own = cookieOf(await ask(lb.port))
  const cookie =
    given === 'changed' ? `${own.slice(0, -2)}${own.endsWith('A') ? 'BB' : 'AA'}` : given || other
  const answers = await Promise.all([0, 1, 2, 3, 4, 5].map(() => ask(lb.port, cookie)))
  expect(new Set(answers.map(bodyOf)).size).toBe(3)
  for (const answer of answers) expect(cookieOf(answer)).toMatch(/^at=[\w-]{43}$/)
})

test('a cookie of an older secret is followed, and replaced by one of the first', async () => {
  const backends = await named(3)
  const config = (secrets: string | string[]) =>
    simpleConfig(backends, { service: { filters: [sticky({ secrets })] } })
  const lb = await serve(config(first))
  const answer = await ask(lb.port)
  await lb.apply(config([second, first]))
  const next = await ask(lb.port, cookieOf(answer))
  expect(bodyOf(next)).toBe(bodyOf(answer))
  expect(cookieOf(next)).not.toBe(cookieOf(answer))
  await lb.apply(config(second))
  for (let i = 0; i < 4; i++) {
    const last = await ask(lb.port, cookieOf(next))
    expect([bodyOf(last), fieldValues(last, 'set-cookie')]).toEqual([bodyOf(answer), []])
  }
})

describe('falls back to the algorithm and gives a new cookie', () => {
  const config = (backends: readonly RawBackend[], settings: object = {}) =>
    simpleConfig(backends, { service: { filters: [sticky()], ...settings } })

  test('when the backend is down; a client whose backend has come back is not moved again', async () => {
    const backends = await named(3)
    const lb = await serve(config(backends, { health: 'static' }))
    const answer = await ask(lb.port)
    const home = backends[Number(bodyOf(answer))]
    await lb.apply(config(backends, { health: { use: 'static', down: [home.url] } }))
    const moved = await ask(lb.port, cookieOf(answer))
    expect(bodyOf(moved)).not.toBe(bodyOf(answer))
    expect(cookieOf(moved)).not.toBe(cookieOf(answer))
    await lb.apply(config(backends, { health: 'static' }))
    for (let i = 0; i < 4; i++) expect(bodyOf(await ask(lb.port, cookieOf(moved)))).toBe(bodyOf(moved))
  })

  test('when it has left the config', async () => {
    const backends = await named(3)
    const lb = await serve(config(backends))
    const answer = await ask(lb.port)
    const rest = backends.filter((_, index) => index !== Number(bodyOf(answer)))
    await lb.apply(config(rest))
    const moved = await ask(lb.port, cookieOf(answer))
    expect([moved.status, bodyOf(moved) === bodyOf(answer)]).toEqual([200, false])
    expect(cookieOf(moved)).toMatch(/^at=/)
  })

  test('when its breaker is open, or it refuses connections', async () => {
    const backends = await named(2)
    const breaker = { use: 'consecutive-errors', errors: 1, open: '10m' }
    const lb = await serve(config(backends, { breaker }))
    const answer = await ask(lb.port)
    const home = backends[Number(bodyOf(answer))]
    await home.stop()
    // The first is tried there, refused and sent on; after that the breaker is open.
    for (let i = 0; i < 3; i++) {
      const moved = await ask(lb.port, cookieOf(answer))
      expect([moved.status, bodyOf(moved) === bodyOf(answer)]).toEqual([200, false])
      expect(cookieOf(moved)).toMatch(/^at=/)
      expect(cookieOf(moved)).not.toBe(cookieOf(answer))
    }
  })

  test('an answer of our own gives none', async () => {
    const backends = await named(1)
    const lb = await serve(config(backends))
    await backends[0].stop()
    const answer = await ask(lb.port)
    expect([answer.status, fieldValues(answer, 'set-cookie')]).toEqual([502, []])
  })
})

test('every thread and every process with the secret follows; services have names of their own', async () => {
  const backends = await named(4)
  const settings = {
    node: { threads: 2 },
    service: { filters: [sticky({ name: undefined, sameSite: 'none' })] },
  }
  const [one, two] = [
    await startLb(simpleConfig(backends, settings)),
    await startLb(simpleConfig([...backends].reverse(), settings)),
  ]
  const answer = await ask(one.port)
  expect(cookieOf(answer)).toMatch(/^mr-[0-9a-f]{8}=/)
  expect(fieldValue(answer, 'set-cookie')).toMatch(/SameSite=None$/)
  for (const { port } of [one, two, one, two, one, two])
    expect(bodyOf(await ask(port, cookieOf(answer)))).toBe(bodyOf(answer))
})

test('Secure on TLS by itself, elsewhere if told to', async () => {
  const authority = createCertificateAuthority()
  afterAll(() => authority.dispose())
  const { cert, key } = authority.server(['localhost'])
  const backends = await named(1)
  const service = { filters: [sticky()] }
  const lb = await serve(simpleConfig(backends, { service, listener: { tls: { cert, key } } }))
  const client = await rawClient(lb.port, { tls: { ca: authority.ca, servername: 'localhost' } })
  expect(fieldValue(await client.request(request()), 'set-cookie')).toMatch(/SameSite=Lax; Secure$/)
  const plain = await serve(simpleConfig(backends, { service: { filters: [sticky({ secure: true })] } }))
  expect(fieldValue(await ask(plain.port), 'set-cookie')).toMatch(/; Secure$/)
})
