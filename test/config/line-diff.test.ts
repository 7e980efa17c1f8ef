import { expect, test } from 'vitest'
import { unifiedDiff } from '../../core/config/line-diff.ts'
import { seeded } from '../conformance/time.ts'

/** Applies a unified diff as `patch` does, and refuses one that does not fit. */
function patched(before: string, diff: readonly string[]): string {
  const old = before === '' ? [] : before.replace(/\n$/, '').split('\n')
  const result: string[] = []
  let at = 0
  for (const line of diff) {
    const hunk = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@/.exec(line)
    if (hunk) {
      const start = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1)
      while (at < start) result.push(old[at++])
      expect(result.length).toBe(Number(hunk[3]) - (hunk[4] === '0' ? 0 : 1))
      continue
    }
    if (line[0] !== '+') expect(old[at++]).toBe(line.slice(1))
    if (line[0] !== '-') result.push(line.slice(1))
  }
  result.push(...old.slice(at))
  return result.length === 0 ? '' : `${result.join('\n')}\n`
}

test('what it says turns one text into the other, whatever they are', () => {
  const random = seeded(7)
  const pick = (count: number): number => Math.floor(random() * count)
  const text = (lines: readonly number[]): string => lines.map((line) => `key-${line}: 1\n`).join('')
  for (let round = 0; round < 500; round++) {
    const before = Array.from({ length: pick(40) }, () => pick(12))
    const after = before.flatMap((line) =>
      random() < 0.2 ? (random() < 0.5 ? [] : [line, pick(12)]) : [line],
    )
    const [a, b] = [text(before), text(round % 5 === 0 ? before.toReversed() : after)]
    expect(patched(a, unifiedDiff(a, b))).toBe(b)
  }
})

test('few lines are shown for a small change in a large config, with the place', () => {
  const service = (name: number, ports: readonly number[]): string =>
    `  service-${name}:\n    backends:\n${ports.map((port) => `      - url: http://h:${port}\n        weight: 1\n`).join('')}`
  const all = (changed: readonly number[]): string =>
    `services:\n${Array.from({ length: 100 }, (_, i) => service(i, i === 50 ? changed : [1, 2, 3, 4, 5])).join('')}`
  expect(unifiedDiff(all([1, 2, 3, 4, 5]), all([1, 2, 3, 9, 4, 5]))).toEqual([
    '@@ -607,6 +607,8 @@ services.service-50.backends',
    '         weight: 1',
    '       - url: http://h:3',
    '         weight: 1',
    '+      - url: http://h:9',
    '+        weight: 1',
    '       - url: http://h:4',
    '         weight: 1',
    '       - url: http://h:5',
  ])
  expect(unifiedDiff('a: 1\n', 'a: 1\n')).toEqual([])
})

test('texts that have nothing in common are one removed and one added block', () => {
  const text = (word: string): string => Array.from({ length: 5000 }, (_, i) => `${word}-${i}: 1\n`).join('')
  const diff = unifiedDiff(text('a'), text('b'))
  expect(diff[0]).toBe('@@ -1,5000 +1,5000 @@')
  expect(diff.findLastIndex((line) => line.startsWith('-'))).toBe(5000)
  expect(patched(text('a'), diff)).toBe(text('b'))
})
