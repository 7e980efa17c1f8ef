import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { Filter, FilterExchange, OwnResponse } from 'millrace'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { FieldList } from '../../../core/proxy/field-list.ts'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { fieldValue, fieldValues } from '../../harness/message-reader.ts'
import { FakeTime, threadContext } from '../fake-context.ts'
import { builtin, filter, parsed } from '../make.ts'
import { freshBackend, type Served, serve } from './serve.ts'

interface Signer {
  readonly jwk: JWK
  sign(claims?: JWTPayload, header?: Record<string, unknown>): Promise<string>
}

const seconds = (): number => Math.floor(Date.now() / 1000)
const good = (): JWTPayload => ({ sub: 'ann', iss: 'https://issuer.test', aud: 'shop', exp: seconds() + 300 })

async function signer(alg: string, kid: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid }
  const sign: Signer['sign'] = (claims = good(), header = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey)
  return { jwk, sign }
}

const secret = Buffer.from('0123456789abcdef0123456789abcdef')
const shared = { kty: 'oct', kid: 's', k: secret.toString('base64url') }
const signShared = (
  claims: JWTPayload,
  alg = 'HS256',
  kid: string | undefined = 's',
  key: Uint8Array = secret,
) => new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(key)

/** Serves whatever keys a test sets. */
class KeyServer {
  keys: JWK[] = []
  status = 200
  asked = 0
  readonly server = http.createServer((_, answer) => {
    this.asked++
    answer.writeHead(this.status, { 'content-type': 'application/json' })
    answer.end(JSON.stringify({ keys: this.keys }))
  })

  async start(): Promise<string> {
    await once(this.server.listen(0, '127.0.0.1'), 'listening')
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/keys`
  }

  stop(): void {
    this.server.close()
    this.server.closeAllConnections()
  }
}

const keyServer = new KeyServer()
let url: string
let rsa: Signer
let ec: Signer
beforeAll(async () => {
  url = await keyServer.start()
  rsa = await signer('RS256', 'r')
  ec = await signer('ES256', 'e')
  keyServer.keys = [rsa.jwk, ec.jwk]
})
afterAll(() => keyServer.stop())
beforeEach(() => {
  keyServer.asked = 0
})

describe('over real sockets', () => {
  let served: Served
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    const checks = { issuer: 'https://issuer.test', audience: ['shop', 'admin'], realm: 'shop' }
    served = await serve(cleanup, {
      remote: [
        {
          use: 'jwt',
          jwks: url,
          ...checks,
          claims: { sub: 'X-User', roles: 'X-Roles', 'https://a/b': 'X-Own' },
        },
      ],
      local: [
        { use: 'jwt', keys: [shared], algorithms: ['HS256'], required: ['exp', 'sub'], forward: false },
      ],
      away: [{ use: 'jwt', jwks: 'http://127.0.0.1:1/keys' }],
    })
  })
  freshBackend(() => served)

  const ask = (chain: string, token: string, fields: string[] = []) =>
    served.ask(chain, { fields: [`Authorization: Bearer ${token}`, ...fields] })

  test.each(['RS256', 'ES256'])('a token signed with %s passes, again and again', async (alg) => {
    const token = await (alg === 'RS256' ? rsa : ec).sign()
    for (const _ of [1, 2, 3]) expect((await ask('remote', token)).status).toBe(200)
    expect(served.backend.requests.map((one) => fieldValue(one, 'authorization'))).toEqual(
      Array(3).fill(`Bearer ${token}`),
    )
    // Nothing was fetched meanwhile.
    expect(keyServer.asked).toBe(0)
  })

  test('claims become headers; what the client says in them goes', async () => {
    const token = await rsa.sign({ ...good(), sub: 'ann é', roles: ['a', 'b'], extra: { not: 'told' } })
    for (const _ of [1, 2]) await ask('remote', token, ['X-User: root', 'X-Own: root', 'x-own: root'])
    for (const one of served.backend.requests) {
      expect(fieldValues(one, 'x-user')).toEqual(['ann%20%C3%A9'])
      expect(fieldValues(one, 'x-roles')).toEqual(['a,b'])
      expect(fieldValues(one, 'x-own')).toEqual([])
    }
  })

  test('nor does what the client says under a name that some backends take for the same', async () => {
    await ask('remote', await rsa.sign(), ['X_User: root', 'x.own: root'])
    const [one] = served.backend.requests
    expect([fieldValues(one, 'x-user'), fieldValues(one, 'x_user'), fieldValues(one, 'x.own')]).toEqual([
      ['ann'],
      [],
      [],
    ])
  })

  test('a claim of half a character is told as far as it can be', async () => {
    expect((await ask('remote', await rsa.sign({ ...good(), sub: 'a\ud800' }))).status).toBe(200)
    expect(fieldValues(served.backend.requests[0], 'x-user')).toEqual(['a%EF%BF%BD'])
  })

  test('without a token: 401, and no error code', async () => {
    const answer = await served.ask('remote')
    expect(answer.status).toBe(401)
    expect(fieldValue(answer, 'www-authenticate')).toBe('Bearer realm="shop"')
  })

  test.each([
    ['over', async () => rsa.sign({ ...good(), exp: seconds() - 60 }), /the token is over/],
    ['not yet valid', async () => rsa.sign({ ...good(), nbf: seconds() + 60 }), /claim nbf/],
    ['of another issuer', async () => rsa.sign({ ...good(), iss: 'https://evil.test' }), /claim iss/],
    ['for somebody else', async () => rsa.sign({ ...good(), aud: 'bank' }), /claim aud/],
    ['that never ends', async () => rsa.sign({ ...good(), exp: undefined }), /claim exp/],
    ['signed with another key', async () => (await signer('RS256', 'r')).sign(), /signature/],
    ['of a key that nobody knows', async () => (await signer('RS256', 'x')).sign(), /key is not known/],
    [
      'signed with an algorithm that is not taken',
      async () => (await signer('RS512', 'r')).sign(),
      /algorithm/,
    ],
    [
      'signed with a public key as secret',
      async () => signShared(good(), 'HS256', 'r', Buffer.from(JSON.stringify(rsa.jwk))),
      /algorithm/,
    ],
    [
      'unsigned',
      async () =>
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(good())).toString('base64url')}.`,
      /malformed|algorithm/,
    ],
    ['that is none', async () => 'abc', /malformed/],
    [
      'changed in its claims',
      async () => {
        const [head, , end] = (await rsa.sign()).split('.')
        return `${head}.${Buffer.from(JSON.stringify({ ...good(), sub: 'root' })).toString('base64url')}.${end}`
      },
      /signature/,
    ],
  ])('a token %s is a 401 with invalid_token', async (_, make, why) => {
    const answer = await ask('remote', await make())
    expect(answer.status).toBe(401)
    const challenge = fieldValue(answer, 'www-authenticate')
    expect(challenge).toMatch(/^Bearer realm="shop", error="invalid_token", error_description="[^"]+"$/)
    expect(challenge).toMatch(why)
    expect(served.backend.requests).toEqual([])
  })

  test('a field that is malformed, or two of them, is a 400', async () => {
    const token = await rsa.sign()
    const twice = await ask('remote', token, [`Authorization: Bearer ${token}`])
    expect(twice.status).toBe(400)
    expect(fieldValue(twice, 'www-authenticate')).toContain('error="invalid_request"')
    expect((await served.ask('remote', { fields: ['Authorization: Basic YTpi'] })).status).toBe(400)
    expect(served.backend.requests).toEqual([])
  })

  test('a shared secret; the token goes no further where it is not to', async () => {
    expect((await ask('local', await signShared(good()))).status).toBe(200)
    expect(fieldValue(served.backend.requests[0], 'authorization')).toBeUndefined()
    expect((await ask('local', await signShared({ exp: seconds() + 9 }))).status).toBe(401)
    expect((await ask('local', await signShared(good(), 'HS256', 's', Buffer.alloc(32)))).status).toBe(401)
  })

  test('as long as no key could be fetched the answer is 503', async () => {
    const answer = await ask('away', await rsa.sign())
    expect(answer.status).toBe(503)
    expect(served.lb.log.some(({ message }) => message.includes('the key set cannot be used'))).toBe(true)
  })
})

/** The filter on a clock that a test moves. */
async function instance(options: object, time = new FakeTime()) {
  const plugin = builtin('filter', 'jwt')
  const made: Filter = await plugin.create(threadContext({ clock: time.clock() }), parsed(plugin, options))
  const ask = async (token: string): Promise<{ status: number; sync: boolean }> => {
    const headers = new FieldList(undefined, undefined)
    headers.append('Authorization', `Bearer ${token}`)
    let answer: OwnResponse | undefined
    const exchange = { request: { headers }, respond: (own: OwnResponse) => (answer = own) }
    const pending = made.onRequest?.(exchange as unknown as FilterExchange)
    await pending
    return { status: answer?.status ?? 200, sync: pending === undefined }
  }
  return { ask, time }
}

const wallSeconds = (time: FakeTime): number => time.clock().wall() / 1000

describe('a right token', () => {
  test('is known without a promise, for a minute, and no longer than it holds', async () => {
    const { ask, time } = await instance({ keys: [shared], algorithms: ['HS256'], leeway: '5s' })
    const token = await signShared({ exp: wallSeconds(time) + 90 })
    expect(await ask(token)).toEqual({ status: 200, sync: false })
    expect(await ask(token)).toEqual({ status: 200, sync: true })
    time.advance(59_000)
    expect(await ask(token)).toEqual({ status: 200, sync: true })
    time.advance(2000)
    expect(await ask(token)).toEqual({ status: 200, sync: false })
    // 61 s are over; it ends, with its leeway, after 95.
    time.advance(33_000)
    expect(await ask(token)).toEqual({ status: 200, sync: true })
    time.advance(2000)
    expect((await ask(token)).status).toBe(401)
  })

  test('without a key id is tried with each key', async () => {
    const other = { kty: 'oct', kid: 'o', k: Buffer.alloc(40, 7).toString('base64url') }
    const { ask, time } = await instance({ keys: [other, shared], algorithms: ['HS256'] })
    const token = await signShared({ exp: wallSeconds(time) + 90 }, 'HS256', undefined)
    expect((await ask(token)).status).toBe(200)
    const wrong = await signShared({ exp: wallSeconds(time) + 90 }, 'HS256', undefined, Buffer.alloc(32, 1))
    expect((await ask(wrong)).status).toBe(401)
  })
})

describe('keys at a URL', () => {
  test('that are new are fetched when a token names one, at most every ten seconds', async () => {
    const { ask, time } = await instance({ jwks: url })
    expect(keyServer.asked).toBe(1)
    const next = await signer('ES256', 'next')
    const token = await next.sign({ exp: wallSeconds(time) + 300 })
    expect((await ask(token)).status).toBe(401)
    expect(keyServer.asked).toBe(1)
    keyServer.keys = [rsa.jwk, next.jwk]
    time.advance(10_000)
    expect((await ask(token)).status).toBe(200)
    expect(keyServer.asked).toBe(2)
    // What was signed with a key that has left is refused, although it was known.
    keyServer.keys = [rsa.jwk]
    time.advance(10_000)
    const unknown = await (await signer('ES256', 'none')).sign({ exp: wallSeconds(time) + 300 })
    expect((await ask(unknown)).status).toBe(401)
    expect(keyServer.asked).toBe(3)
    expect((await ask(token)).status).toBe(401)
    keyServer.keys = [rsa.jwk, ec.jwk]
  })

  test('that cannot be fetched leave the former ones', async () => {
    const { ask, time } = await instance({ jwks: url, refresh: '30s' })
    const token = await rsa.sign({ exp: wallSeconds(time) + 300 })
    keyServer.status = 500
    time.advance(30_000)
    expect((await ask(token)).status).toBe(200)
    keyServer.status = 200
  })
})

describe('options that would be unsafe are refused', () => {
  const { kid: _, ...anonymous } = shared
  test.each([
    ['a key set and keys', { jwks: 'https://a.test/keys', keys: [shared] }, /exactly one/],
    ['neither', {}, /exactly one/],
    ['secrets at a URL', { jwks: 'https://a.test/keys', algorithms: ['HS256'] }, /shared secret/],
    ['no algorithm', { keys: [anonymous], algorithms: ['none'] }, /algorithms|Invalid|expected/],
    ['a short secret', { keys: [{ kty: 'oct', k: 'YWJj' }] }, /32 bytes/],
    ['a private key', { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'a', d: 'b' }] }, /public half/],
    ['a URL of another kind', { jwks: 'file:///etc/passwd' }, /http or https/],
    ['a header of the core', { keys: [shared], claims: { sub: 'connection' } }, /belongs to the core/],
  ])('%s', async (_what, options, message) => {
    await expect(filter('jwt', options)).rejects.toThrow(message)
  })
})
