import { expect, test } from 'vitest'
import { isLoopback, parseNodeAddress, withNodePort } from '../../core/fleet/address.ts'

test.each([
  ['10.0.0.7', '10.0.0.7:9903'],
  ['10.0.0.7:1', '10.0.0.7:1'],
  ['LB-1.internal', 'lb-1.internal:9903'],
  ['[fd00::7]:9000', '[fd00::7]:9000'],
  ['::1', '[::1]:9903'],
])('%s is %s', (text, full) => {
  expect(withNodePort(text)).toBe(full)
})

test.each([
  '',
  'a b',
  'http://a',
  'a:0',
  'a:65536',
  'a:',
  '[a]:1',
  '[::1',
  'a/b',
  'a:1:2',
])('%j is none', (text) => {
  expect(parseNodeAddress(text)).toBeUndefined()
})

test('only addresses of this machine are loopback', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].filter((host) => !isLoopback(host))).toEqual([])
  const others = [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
  ]
  expect(others.filter(isLoopback)).toEqual([])
})
