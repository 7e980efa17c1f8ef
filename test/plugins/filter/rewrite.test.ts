import { beforeAll, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { rawClient, request } from '../../harness/raw-client.ts'
import { filter } from '../make.ts'
import { freshBackend, type Served, serve } from './serve.ts'

const rewrite = (options: object) => [{ use: 'rewrite', ...options }]
let served: Served
const cleanup = untilFileEnds()
beforeAll(async () => {
  served = await serve(cleanup, {
    strip: rewrite({ stripPrefix: '/strip' }),
    move: rewrite({ replacePrefix: { from: '/move/v1', to: '/v2/api' } }),
    under: rewrite({ replacePrefix: { from: '/', to: '/base' } }),
    pattern: rewrite({ regex: { pattern: '^/pattern/([^/]+)/([^/]*)', to: '/$2/of/$1' } }),
    bare: rewrite({ regex: { pattern: '^/bare/', to: '' } }),
    slow: rewrite({ regex: { pattern: '(a*)*(a*)*(a|aa)+$', to: '' } }),
    twice: [...rewrite({ stripPrefix: '/twice' }), ...rewrite({ replacePrefix: { from: '/a', to: '/b' } })],
  })
})
freshBackend(() => served)

test.each([
  ['strip', '/users?a=/strip', '/users?a=/strip'],
  ['strip', '', '/'],
  ['strip', '/', '/'],
  ['strip', '?q', '/?q'],
  ['strip', '//x', '//x'],
  ['strip', '/%61%2F..', '/%61%2F..'],
  ['move', '/v1/x?y', '/v2/api/x?y'],
  ['move', '/v1', '/v2/api'],
  ['move', '/v1?y', '/v2/api?y'],
  ['move', '/v10/x', '/move/v10/x'],
  ['move', '/%761/x', '/move/%761/x'],
  ['under', '/x', '/base/under/x'],
  ['pattern', '/a/b/c?d', '/b/of/a/c?d'],
  ['pattern', '/a', '/pattern/a'],
  ['bare', '/x/y?z', '/x/y?z'],
  ['twice', '/a/x', '/b/x'],
  ['twice', '/ab/x', '/ab/x'],
])('%s: %s is sent as %s', async (chain, target, sent) => {
  expect((await served.ask(chain, { target })).status).toBe(200)
  expect(served.backend.requests.map((one) => one.target)).toEqual([sent])
})

test('a pattern that would take others for ever takes no time', async () => {
  const target = `/${'a'.repeat(7000)}!`
  const answers = await Promise.all(Array.from({ length: 5 }, () => served.ask('slow', { target })))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
})

test('OPTIONS * stays', async () => {
  const client = await rawClient(served.lb.port)
  const { status } = await client.request(request({ method: 'OPTIONS', target: '*' }))
  expect([200, 204, 404]).toContain(status)
})

describe('options that make no sense are refused', () => {
  test.each([
    [{}, /exactly one/],
    [{ stripPrefix: '/a', regex: { pattern: 'a', to: '' } }, /exactly one/],
    [{ stripPrefix: 'a' }, /expected a path/],
    [{ stripPrefix: '/a/' }, /no slash at its end/],
    [{ stripPrefix: '/a?b' }, /expected a path/],
    [{ replacePrefix: { from: '/a', to: '/b#c' } }, /expected a path/],
    [{ regex: { pattern: 'a', to: 'ü' } }, /characters of a path/],
    [{ regex: { pattern: '(a', to: '' } }, /missing closing/],
    [{ regex: { pattern: '(?=a)', to: '' } }, /\(\?=/],
    [{ regex: { pattern: '(a)', to: '$2' } }, /"\$2".*\$1/],
    [{ regex: { pattern: '(a)', to: 'x$' } }, /"\$"/],
  ])('%o', async (options, message) => {
    await expect(filter('rewrite', options)).rejects.toThrow(message)
  })
})
