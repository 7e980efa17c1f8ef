import { describe, expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { fieldValue, fieldValues, type RawRequest } from '../harness/message-reader.ts'
import { rawBackend } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'

const serve = reusedLb()

const claims = [
  'X-Forwarded-For: 6.6.6.6',
  'X-Forwarded-For: 7.7.7.7',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.example',
  'Forwarded: for=6.6.6.6;proto=https;host=evil.example',
]

describe('from a peer that is not trusted', () => {
  const proxy = fixture()
  const forwarded = async (fields: readonly string[]): Promise<RawRequest> => {
    const client = await proxy.connect()
    await client.request(request({ fields }))
    return proxy.backend.requests[0]
  }

  test('forwarding fields are made anew', async () => {
    const seen = await forwarded([])
    expect(fieldValues(seen, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(fieldValues(seen, 'x-forwarded-proto')).toEqual(['http'])
    expect(fieldValues(seen, 'x-forwarded-host')).toEqual(['test'])
  })

  test('claims are replaced', async () => {
    const seen = await forwarded(claims)
    expect(fieldValues(seen, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(fieldValues(seen, 'x-forwarded-proto')).toEqual(['http'])
    expect(fieldValues(seen, 'x-forwarded-host')).toEqual(['test'])
    expect(fieldValue(seen, 'forwarded') ?? 'for=127.0.0.1').toMatch(/^for=127\.0\.0\.1/)
    expect(seen.head).not.toMatch(/6\.6\.6\.6|7\.7\.7\.7|evil/)
  })
})

describe('from a trusted proxy', () => {
  const proxy = fixture({ trustedProxies: ['127.0.0.0/8'] })
  const forwarded = async (fields: readonly string[]): Promise<RawRequest> => {
    const client = await proxy.connect()
    await client.request(request({ fields }))
    return proxy.backend.requests[0]
  }

  test('claims are appended to', async () => {
    const seen = await forwarded(claims)
    expect(fieldValue(seen, 'x-forwarded-for')).toBe('6.6.6.6, 7.7.7.7, 127.0.0.1')
    expect(fieldValue(seen, 'x-forwarded-proto')).toMatch(/^https\b/)
    expect(fieldValue(seen, 'x-forwarded-host')).toMatch(/^evil\.example\b/)
    expect(fieldValue(seen, 'forwarded')).toMatch(
      /^for=6\.6\.6\.6;proto=https;host=evil\.example, ?for=127\.0\.0\.1/,
    )
  })

  test('without claims it is as from anyone', async () => {
    const seen = await forwarded([])
    expect(fieldValues(seen, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(fieldValues(seen, 'x-forwarded-proto')).toEqual(['http'])
    expect(fieldValues(seen, 'x-forwarded-host')).toEqual(['test'])
  })
})

test('trust is by address: another peer of the same listener is not trusted', async () => {
  const backend = await rawBackend()
  const lb = await serve(simpleConfig([backend], { trustedProxies: ['127.0.0.2/32'] }))
  for (const [from, expected] of [
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.2', '6.6.6.6, 127.0.0.2'],
  ]) {
    const client = await rawClient(lb.port, { from })
    await client.request(request({ fields: ['X-Forwarded-For: 6.6.6.6'] }))
    expect(fieldValue(backend.requests.at(-1)!, 'x-forwarded-for')).toBe(expected)
  }
})

test('an IPv6 client is named by its address', async () => {
  const backend = await rawBackend()
  const lb = await serve(simpleConfig([backend], { listener: { address: '[::1]:0' } }))
  const client = await rawClient(lb.port, { host: '::1' })
  await client.request(request({ fields: ['Forwarded: for=x'] }))
  const [seen] = backend.requests
  expect(fieldValue(seen, 'x-forwarded-for')).toBe('::1')
  // RFC 7239 §6: an IPv6 address is bracketed and quoted.
  expect(fieldValue(seen, 'forwarded') ?? 'for="[::1]"').toContain('for="[::1]"')
})
