import { describe, expect, test } from 'vitest'
import {
  parseBackendUrl,
  parseCidr,
  parseHostHeader,
  parseHostMatch,
  parseListenAddress,
} from '#core/config/addresses'

describe('backend URL', () => {
  test.each([
    ['http://127.0.0.1:9001', 'http://127.0.0.1:9001', '127.0.0.1', 9001],
    ['http://localhost', 'http://localhost:80', 'localhost', 80],
    ['https://API.Example.com/', 'https://api.example.com:443', 'api.example.com', 443],
    ['http://[::1]:80', 'http://[::1]:80', '::1', 80],
    ['https://[2001:DB8:0::1]', 'https://[2001:db8::1]:443', '2001:db8::1', 443],
    ['http://my_service:8080', 'http://my_service:8080', 'my_service', 8080],
    ['http://bücher.example', 'http://xn--bcher-kva.example:80', 'xn--bcher-kva.example', 80],
  ])('%s', (text, url, host, port) => {
    expect(parseBackendUrl(text)).toMatchObject({ url, host, port, socketPath: '' })
  })

  test('of a unix socket', () => {
    const expected = {
      url: 'unix:/run/app.sock',
      protocol: 'http',
      host: '',
      port: 0,
      socketPath: '/run/app.sock',
    }
    expect(parseBackendUrl('unix:/run/app.sock')).toEqual(expected)
    expect(parseBackendUrl('unix:///run/app.sock')).toEqual(expected)
  })

  test.each([
    'http://',
    'http://:80',
    'http://a:0',
    'http://a:65536',
    'http://a:80:90',
    'http://::1:80',
    'http://[::1',
    'http://[fe80::1%25eth0]:80',
    'http://a/base',
    'http://a?x',
    'http://user:secret@a',
    'http://a b',
    'http://127.1',
    'http://010.0.0.1',
    'http://0x7f.1',
    'ftp://a',
    'unix:run/app.sock',
    `unix:/${'x'.repeat(107)}`,
    '',
  ])('refuses %s', (text) => {
    expect(parseBackendUrl(text)).toHaveProperty('fault')
  })

  test('suggests the scheme that was left out', () => {
    expect(parseBackendUrl('127.0.0.1:9001')).toMatchObject({
      suggestion: 'did you mean "http://127.0.0.1:9001"?',
    })
  })

  test('never repeats user name and password', () => {
    expect(JSON.stringify(parseBackendUrl('http://user:secret@a'))).not.toContain('secret')
  })
})

describe('listen address', () => {
  test.each([
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080, socketPath: '' }],
    ['[::1]:0', { host: '::1', port: 0, socketPath: '' }],
    ['localhost:80', { host: 'localhost', port: 80, socketPath: '' }],
    ['unix:/run/lb.sock', { host: '', port: 0, socketPath: '/run/lb.sock' }],
  ])('%s', (text, expected) => {
    expect(parseListenAddress(text)).toEqual(expected)
  })

  test.each([
    '8080',
    '::1',
    '::1:80x',
    '[::1]',
    '[::g]:1',
    '256.0.0.1:80',
    'a:',
    'a:70000',
    'a b:1',
    'unix:x',
  ])('refuses %s', (text) => {
    expect(parseListenAddress(text)).toHaveProperty('fault')
  })

  test('says what to write for all addresses', () => {
    expect(parseListenAddress(':8080')).toMatchObject({ suggestion: 'write 0.0.0.0:8080 or "[::]:8080"' })
  })
})

describe('host to match', () => {
  test.each([
    ['Shop.Example.COM', 'shop.example.com'],
    ['*.Example.com', '*.example.com'],
    ['example.com.', 'example.com'],
    ['[::1]', '[::1]'],
    ['*', undefined],
  ])('%s', (text, host) => {
    expect(parseHostMatch(text)).toEqual({ host })
  })

  test.each(['a.com:80', 'shop.*.com', '*shop.com', '', 'a..b', 'a/b', '**.a.com'])('refuses %j', (text) => {
    expect(parseHostMatch(text)).toHaveProperty('fault')
  })
})

test('host header: a name, with or without a port', () => {
  expect(parseHostHeader('App.internal')).toEqual({ value: 'app.internal' })
  expect(parseHostHeader('app.internal:8080')).toEqual({ value: 'app.internal:8080' })
  expect(parseHostHeader('[::1]:8080')).toEqual({ value: '[::1]:8080' })
  for (const text of ['a b', 'a:0', 'a:b', '', 'a\r\nx: y'])
    expect(parseHostHeader(text)).toHaveProperty('fault')
})

test('address blocks get their prefix length', () => {
  expect(parseCidr('10.0.0.0/8')).toEqual({ cidr: '10.0.0.0/8' })
  expect(parseCidr('10.1.2.3')).toEqual({ cidr: '10.1.2.3/32' })
  expect(parseCidr('2001:DB8::/32')).toEqual({ cidr: '2001:db8::/32' })
  expect(parseCidr('::1')).toEqual({ cidr: '::1/128' })
  for (const text of ['10.0.0.0/33', '10.0.0/8', '::/129', 'a', '1.2.3.4/', '1.2.3.4/8/9'])
    expect(parseCidr(text)).toHaveProperty('fault')
})
