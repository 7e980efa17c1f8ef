import { type Filter, type FilterExchange, type HeaderFields, protectedFields } from 'millrace'
import { describe, expect, test } from 'vitest'
import { FieldList } from '../../../core/proxy/field-list.ts'
import { filter } from '../make.ts'

interface Messages {
  readonly request: HeaderFields
  readonly response: HeaderFields
}

/** Passes an exchange with these fields through the filter. */
function through(
  instance: Filter,
  fields: Record<string, string>,
  response: Record<string, string> = {},
): Messages {
  const headers = (record: Record<string, string>): HeaderFields => {
    const list = new FieldList(undefined, undefined)
    for (const [name, value] of Object.entries(record)) list.append(name, value)
    return list
  }
  const messages = { request: headers(fields), response: headers(response) }
  const exchange = {
    id: 'id-1',
    request: { headers: messages.request },
    response: { headers: messages.response },
  } as unknown as FilterExchange
  instance.onRequest?.(exchange)
  instance.onResponse?.(exchange)
  return messages
}

describe('headers', () => {
  test('removes, then sets, then appends', async () => {
    const edits = {
      remove: ['X-Old', 'via'],
      set: { 'x-set': '1', 'X-Old': 'new' },
      append: { 'x-list': ['b', 'c'] },
    }
    const { request, response } = through(
      await filter('headers', { request: edits, response: { append: { vary: 'accept' } } }),
      { 'x-old': 'a', Via: 'proxy', 'X-Set': '0', 'x-list': 'a', other: 'stays' },
      { Vary: 'origin' },
    )
    expect(request.getAll('x-list')).toEqual(['a', 'b', 'c'])
    expect([request.get('x-old'), request.get('via'), request.getAll('x-set'), request.get('other')]).toEqual(
      ['new', undefined, ['1'], 'stays'],
    )
    expect(response.getAll('vary')).toEqual(['origin', 'accept'])
  })

  test('has no hook for a side that it does not edit', async () => {
    expect(Object.keys(await filter('headers', {}))).toEqual([])
    expect(Object.keys(await filter('headers', { response: { remove: ['server'] } }))).toEqual(['onResponse'])
  })

  test('refuses every field that the core keeps for itself when the config is read', async () => {
    for (const name of protectedFields) {
      await expect(filter('headers', { request: { set: { [name]: '1' } } })).rejects.toThrow(
        /belongs to the core/,
      )
      await expect(filter('headers', { response: { remove: [name] } })).rejects.toThrow(/belongs to the core/)
      expect(() => new FieldList(undefined, undefined).set(name, '1')).toThrow(/belongs to the core/)
    }
    expect([...protectedFields]).toContain('x-forwarded-for')
  })

  test.each([
    [{ request: { set: { 'Content-Length': '1' } } }, /framing/],
    [{ response: { remove: ['Transfer-Encoding'] } }, /framing/],
    [{ request: { set: { 'bad name': '1' } } }, /token/],
    [{ request: { append: { 'x-a': 'a\r\nb: c' } } }, /control/],
    [{ request: { append: { 'x-a': ['ok', ' blank'] } } }, /blank/],
    [{ request: { append: { 'x-a': 'snow ☃' } } }, /U\+00FF/],
  ])('refuses %o when the config is read', async (options, message) => {
    await expect(filter('headers', options)).rejects.toThrow(message)
  })
})

describe('request-id', () => {
  test('replaces what the client sent by the id of the exchange', async () => {
    const { request, response } = through(await filter('request-id'), { 'X-Request-Id': 'forged' })
    expect(request.getAll('x-request-id')).toEqual(['id-1'])
    expect(response.has('x-request-id')).toBe(false)
  })

  test('uses another header, and the response, if told to', async () => {
    const { request, response } = through(
      await filter('request-id', { header: 'X-Trace', response: true }),
      {},
    )
    expect(request.get('x-trace')).toBe('id-1')
    expect(response.get('x-trace')).toBe('id-1')
    expect(request.has('x-request-id')).toBe(false)
  })
})
