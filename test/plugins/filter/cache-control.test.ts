import { beforeAll, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { fieldValues } from '../../harness/message-reader.ts'
import { response } from '../../harness/raw-backend.ts'
import { filter } from '../make.ts'
import { freshBackend, type Served, serve } from './serve.ts'

let served: Served
const cleanup = untilFileEnds()
beforeAll(async () => {
  served = await serve(cleanup, {
    none: [],
    default: [{ use: 'cache-control', default: 'public, max-age=60' }],
    force: [{ use: 'cache-control', force: 'no-store' }],
    strip: [{ use: 'cache-control', strip: true }],
    errors: [{ use: 'cache-control', force: 'no-store', statuses: ['400-599'] }],
    limited: [
      { use: 'cache-control', force: 'public', statuses: ['200-599'] },
      { use: 'body-limit', limit: 0 },
    ],
  })
})
freshBackend(() => served)

const said = [
  'Cache-Control: private',
  'cache-control: max-age=1',
  'Expires: 0',
  'Pragma: no-cache',
  'X-Other: stays',
]

async function fieldsOf(chain: string, status: number, fields: readonly string[], method = 'GET') {
  served.backend.respond((_, connection) => connection.write(response({ status, fields, body: 'ok' })))
  const answer = await served.ask(chain, { method })
  return ['cache-control', 'expires', 'pragma'].map((name) => fieldValues(answer, name).join('|')).join(' / ')
}

test.each([
  ['none', 200, said, 'private|max-age=1 / 0 / no-cache'],
  ['default', 200, said, 'private|max-age=1 / 0 / no-cache'],
  ['default', 200, [], 'public, max-age=60 /  / '],
  ['default', 200, ['Expires: 0'], ' / 0 / '],
  ['default', 404, [], ' /  / '],
  ['default', 304, [], 'public, max-age=60 /  / '],
  ['force', 200, said, 'no-store /  / '],
  ['force', 200, [], 'no-store /  / '],
  ['force', 404, said, 'private|max-age=1 / 0 / no-cache'],
  ['strip', 200, said, ' /  / '],
  ['errors', 404, [], 'no-store /  / '],
  ['errors', 200, [], ' /  / '],
])('%s: %i with %j', async (chain, status, fields, expected) => {
  expect(await fieldsOf(chain, status, fields)).toBe(expected)
})

test('answers to other methods, and our own, are left alone', async () => {
  expect(await fieldsOf('force', 200, [], 'HEAD')).toBe('no-store /  / ')
  expect(await fieldsOf('force', 200, [], 'DELETE')).toBe(' /  / ')
  const refused = await served.ask('limited', { body: 'x' })
  expect([refused.status, ...fieldValues(refused, 'cache-control')]).toEqual([413, 'no-store'])
})

describe('options that make no sense are refused', () => {
  test.each([
    [{}, /exactly one/],
    [{ default: 'a', force: 'b' }, /exactly one/],
    [{ force: 'a', strip: true }, /exactly one/],
    [{ force: 'a\r\nb: c' }, /control/],
    [{ default: '' }, /Cache-Control value/],
  ])('%j', async (options, message) => {
    await expect(filter('cache-control', options)).rejects.toThrow(message)
  })
})
