import { expect, test } from 'vitest'
import { Envelopes } from '../../../plugins/lib/envelope.ts'

const none = ''
const make = (id: string, key = 'key', fleet = 'f', purpose = 'p') =>
  new Envelopes(purpose, fleet, { id, boot: `boot-${id}` }, key === none ? undefined : key)

test('opens what another of the fleet has sealed, once, and nothing older', () => {
  const [a, b] = [make('a'), make('b')]
  const [first, second] = [a.seal('one'), a.seal('two')]
  expect(b.open(second)).toEqual({ from: 'a', boot: 'boot-a', payload: 'two' })
  expect(b.open(second)).toBeUndefined()
  expect(b.open(first)).toBeUndefined()
  expect(b.open(a.seal('three'))?.payload).toBe('three')
})

test('opens nothing of another key, fleet or purpose, and nothing that was changed', () => {
  const sealed = make('a').seal('one')
  for (const other of [
    make('b', 'other'),
    make('b', none),
    make('b', 'key', 'g'),
    make('b', 'key', 'f', 'q'),
  ])
    expect(other.open(sealed)).toBeUndefined()
  const b = make('b')
  for (let at = 0; at < sealed.length; at++) {
    const changed =
      sealed.slice(0, at) + String.fromCharCode(sealed.charCodeAt(at) ^ 1) + sealed.slice(at + 1)
    expect(b.open(changed)).toBeUndefined()
  }
  for (const text of ['', 'x', sealed.slice(0, -1), sealed.slice(1), '☃'.repeat(60)])
    expect(b.open(text)).toBeUndefined()
  expect(b.open(sealed)?.payload).toBe('one')
})

test('without a key it finds damage', () => {
  const [a, b] = [make('a', none), make('b', none)]
  const sealed = a.seal('one')
  expect(b.open(sealed.replace('one', 'two'))).toBeUndefined()
  expect(b.open(sealed)?.payload).toBe('one')
})
