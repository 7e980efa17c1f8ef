import { describe, expect, test } from 'vitest'
import type { RouteConfig } from '#core/config/snapshot'
import { chooseService, Router } from '#core/proxy/router'

function route(name: string, match: Partial<RouteConfig> = {}): RouteConfig {
  return {
    name,
    host: undefined,
    path: undefined,
    methods: undefined,
    headers: [],
    services: [{ service: name, weight: 1 }],
    filters: [],
    listener: undefined,
    ...match,
  }
}

/** Finds `METHOD host/path`. */
function find(
  router: Router,
  host: string,
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
) {
  return router.match('web', host, path, method, (name) => headers[name])?.name
}

describe('hosts', () => {
  const router = new Router([
    route('any'),
    route('exact', { host: 'shop.example.com' }),
    route('wild', { host: '*.example.com' }),
    route('wilder', { host: '*.eu.example.com' }),
  ])

  test.each([
    ['shop.example.com', 'exact'],
    ['www.example.com', 'wild'],
    ['a.b.example.com', 'wild'],
    ['a.eu.example.com', 'wilder'],
    ['eu.example.com', 'wild'],
    ['example.com', 'any'],
    ['.example.com', 'any'],
    ['notexample.com', 'any'],
    ['', 'any'],
    ['127.0.0.1', 'any'],
  ])('%s goes to %s', (host, expected) => {
    expect(find(router, host, '/')).toBe(expected)
  })

  test('a host whose paths do not match gives way to the wildcard, then the shorter one, then any', () => {
    const fallback = new Router([
      route('exact', { host: 'a.eu.example.com', path: '/exact' }),
      route('long', { host: '*.eu.example.com', path: '/long' }),
      route('short', { host: '*.example.com', path: '/short' }),
      route('any', { path: '/any' }),
    ])
    const paths = ['/exact', '/long', '/short', '/any', '/none']
    expect(paths.map((path) => find(fallback, 'a.eu.example.com', path))).toEqual([
      'exact',
      'long',
      'short',
      'any',
      undefined,
    ])
  })
})

describe('paths', () => {
  const router = new Router([
    route('api', { path: '/api' }),
    route('v1', { path: '/api/v1' }),
    route('folder', { path: '/folder/' }),
    route('root', { path: '/' }),
  ])

  test.each([
    ['/api', 'api'],
    ['/api/', 'api'],
    ['/api?x=/api/v1', 'api'],
    ['/api/v1', 'v1'],
    ['/api/v1/x', 'v1'],
    ['/api/v1?x', 'v1'],
    ['/api/v11', 'api'],
    ['/api/v', 'api'],
    ['/apis', 'root'],
    ['/folder', 'root'],
    ['/folder/', 'folder'],
    ['/folder/x', 'folder'],
    ['/', 'root'],
    ['/?q', 'root'],
    ['//api', 'root'],
    ['/API', 'root'],
    ['/%61pi', 'root'],
    ['*', undefined],
  ])('%s goes to %s', (path, expected) => {
    expect(find(router, 'h', path)).toBe(expected)
  })

  test('the longest of 5,000 prefixes wins, as a plain search says', () => {
    const words = ['a', 'b', 'ab', 'abc', 'x']
    const paths = new Set<string>()
    let state = 1
    const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff)
    const path = (): string => {
      let text = ''
      for (let n = 1 + ((next() >> 8) % 7); n > 0; n--) text += `/${words[(next() >> 8) % words.length]}`
      return text
    }
    while (paths.size < 5000) paths.add(path())
    const many = new Router([...paths].map((prefix) => route(prefix, { path: prefix })))
    for (let i = 0; i < 2000; i++) {
      const wanted = `${path()}${i % 2 ? '/zz' : ''}`
      let expected: string | undefined = wanted
      while (expected && !paths.has(expected)) expected = expected.slice(0, expected.lastIndexOf('/'))
      expect(find(many, 'h', wanted)).toBe(expected || undefined)
    }
  })
})

test('a method beats header conditions, more conditions beat fewer, and what does not match gives way', () => {
  const router = new Router([
    route('plain', { path: '/a' }),
    route('one', { path: '/a', headers: [{ name: 'x', value: undefined }] }),
    route('two', {
      path: '/a',
      headers: [
        { name: 'x', value: '1' },
        { name: 'y', value: undefined },
      ],
    }),
    route('post', { path: '/a', methods: ['POST', 'PUT'] }),
    route('deep', { path: '/a/b', methods: ['DELETE'] }),
  ])
  expect(find(router, 'h', '/a')).toBe('plain')
  expect(find(router, 'h', '/a', 'GET', { x: '' })).toBe('one')
  expect(find(router, 'h', '/a', 'GET', { x: '1', y: '2' })).toBe('two')
  expect(find(router, 'h', '/a', 'GET', { x: '2', y: '2' })).toBe('one')
  expect(find(router, 'h', '/a', 'PUT', { x: '1', y: '2' })).toBe('post')
  expect(find(router, 'h', '/a/b', 'DELETE')).toBe('deep')
  expect(find(router, 'h', '/a/b', 'POST')).toBe('post')
})

test('a listener with routes of its own ignores the shared ones', () => {
  const router = new Router([route('shared'), route('own', { listener: 'inner', path: '/x' })], ['empty'])
  const none = () => undefined
  expect(router.match('inner', 'h', '/x', 'GET', none)?.name).toBe('own')
  expect(router.match('inner', 'h', '/y', 'GET', none)).toBeUndefined()
  expect(router.match('empty', 'h', '/x', 'GET', none)).toBeUndefined()
  expect(router.match('web', 'h', '/x', 'GET', none)?.name).toBe('shared')
})

test('services of a split are chosen by weight', () => {
  const split = route('split', {
    services: [
      { service: 'a', weight: 9 },
      { service: 'b', weight: 1 },
    ],
  })
  const at = (random: number): string => chooseService(split, () => random)
  expect([0, 0.5, 0.8999, 0.9, 0.9999].map(at)).toEqual(['a', 'a', 'a', 'b', 'b'])
  const single = route('single')
  expect(
    chooseService(single, () => {
      throw new Error('asked without need')
    }),
  ).toBe('single')
})
