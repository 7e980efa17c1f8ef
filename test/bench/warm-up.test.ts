import { expect, test } from 'vitest'
import { warmupParts } from '../../bench/load/warm-up.ts'

test.each([
  [0.4, [1]],
  [1, [1]],
  [2, [1, 1]],
  [4.5, [2, 3]],
])('a warm-up of %s s takes whole seconds, in two parts from two on', (seconds, parts) => {
  expect(warmupParts(seconds)).toEqual(parts)
})
