import { describe, expect, test } from 'vitest'
import { cookieValue } from '../../../plugins/lib/cookies.ts'
import { builtin, parsed } from '../make.ts'

describe('sticky-cookie', () => {
  const secrets = 'a secret of some length'

  test.each([
    [{}, /secret of at least 16 characters/],
    [{ secrets: 'short' }, /16 characters/],
    [{ secrets: [] }, /16 characters|>=1/],
    [{ secrets, name: 'a b' }, /token/],
    [{ secrets, path: 'app' }, /path such as/],
    [{ secrets, path: '/; Domain=x' }, /path such as/],
    [{ secrets, sameSite: 'none', secure: false }, /not secure/],
    [{ secrets, name: '__Host-at', path: '/app' }, /__Host-/],
  ])('refuses %o', (options, message) => {
    expect(() => parsed(builtin('filter', 'sticky-cookie'), options)).toThrow(message)
  })
})

describe('cookieValue', () => {
  test.each([
    ['at=1', '1'],
    ['a=b; at=1', '1'],
    ['a=b;at=1;c=d', '1'],
    ['at=1; at=2', '1'],
    ['xat=1; at2=3', undefined],
    ['at', undefined],
    ['at=', ''],
    ['', undefined],
    ['; ;; at=x=y ', 'x=y'],
  ])('%s', (field, value) => {
    expect(cookieValue(field, 'at')).toBe(value)
  })
})
