import { expect, test } from 'vitest'
import { HeldCode } from '../../core/host/held-code.ts'

test('what runs is held however many versions were refused since', () => {
  const held = new HeldCode()
  const url = 'file:///p/late.ts'
  for (const hash of ['runs', 'refused', 'refused-too'])
    held.hold([{ entry: 'file:///p/a.ts', hash, files: new Map([[url, `of ${hash}`]]) }])
  expect(held.text('runs', url)).toBe('of runs')
  expect(held.text('refused-too', url)).toBe('of refused-too')
  expect(held.text('never', url)).toBeUndefined()
})
