import { expect, test } from 'vitest'
import { TrustedProxies } from '#core/proxy/trusted'

const trusted = new TrustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1'])

test.each([
  ['10.255.0.1', true],
  ['11.0.0.1', false],
  ['192.0.2.7', true],
  ['192.0.2.8', false],
  ['::ffff:10.1.2.3', true],
  ['::ffff:11.1.2.3', false],
  ['2001:db8:1::1', true],
  ['2001:db9::1', false],
  ['::1', true],
  ['2001:db8::1%eth0', true],
  ['fe80::1%eth0', false],
  ['', false],
  ['/run/app.sock', false],
])('%s: %s', (address, expected) => {
  expect(trusted.has(address)).toBe(expected)
  // Asked again: the remembered answer is the same one.
  expect(trusted.has(address)).toBe(expected)
})

test('nobody is trusted by default', () => {
  const none = new TrustedProxies([])
  expect(none.has('127.0.0.1')).toBe(false)
  expect(none.has('')).toBe(false)
})
