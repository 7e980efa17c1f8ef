import { describe, expect, test } from 'vitest'
import { MessageHead } from '#core/http1/head'
import { headResult } from '#core/http1/parse'
import { HeadScanner } from '#core/http1/scan'
import { isFieldValue, isTarget, isToken } from '#core/http1/tables'
import { seededRandom } from './random.ts'
import { compareScans, ScanComparison } from './scan-compare.ts'

const request = (target: string, ...lines: string[]): Buffer =>
  Buffer.from(`GET ${target} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1')

describe('the scanner of whole heads', () => {
  test('reads mutated requests and responses as the parser does', () => {
    const report = compareScans(30_000, 20_261_127)
    expect(report.differences).toEqual([])
    expect(report.accepted).toBeGreaterThan(5_000)
    // All that is plainly right is its own work; only what might pass for a framing field is left to the parser.
    expect(report.scanned).toBeGreaterThan(report.accepted * 0.98)
  })

  test('judges every byte at every place of 16 as the tables do', () => {
    const comparison = new ScanComparison(seededRandom(1))
    for (let byte = 0; byte < 256; byte++) {
      for (let before = 0; before < 18; before++) {
        const text = `${'a'.repeat(before)}${String.fromCharCode(byte)}b`
        comparison.check(request(`/${text}`, 'Host: a'), true)
        comparison.check(request('/', `x${text}: a`), true)
        comparison.check(request('/', `x: a${text}`), true)
        comparison.check(Buffer.from(`HTTP/1.1 200 a${text}\r\n\r\n`, 'latin1'), false)
      }
    }
    expect(comparison.differences).toEqual([])
    const count = (table: Uint8Array): number => table.reduce((sum, bit) => sum + bit, 0)
    // Accepted are exactly the bytes of the tables, and a colon in a name and a space in a target where the rest is right.
    expect(comparison.accepted).toBeGreaterThanOrEqual(
      18 * (count(isTarget) + count(isToken) + 2 * count(isFieldValue)),
    )
  })

  test('finds every known name in any case, and none that differs in one letter', async () => {
    const { knownFields } = await import('#core/http1/fields')
    const comparison = new ScanComparison(seededRandom(2))
    for (const name of knownFields.keys()) {
      comparison.check(request('/', `${name}: 1`, `${name.toUpperCase()}: 2`), true)
      for (let at = 0; at < name.length; at++) {
        for (const change of [1, 2, 4, 8, 16, 32]) {
          const letter = String.fromCharCode(name.charCodeAt(at) ^ change)
          comparison.check(request('/', `${name.slice(0, at)}${letter}${name.slice(at + 1)}: 1`), true)
        }
      }
    }
    expect(comparison.differences).toEqual([])
  })

  test('takes no head from bytes that an earlier message left behind', () => {
    const scanner = new HeadScanner(8_192)
    const whole = request('/', 'Host: example.org', 'Accept: */*')
    whole.copy(scanner.shared)
    const limits = { head: 16_384, fields: 100, target: 8_192 }
    for (let end = 0; end < whole.length; end++) {
      const head = new MessageHead(100)
      expect(scanner.parse(head, scanner.shared, 0, end, true, limits)).toBe(headResult.more)
      expect(scanner.parse(new MessageHead(100), Buffer.from(whole), 0, end, true, limits)).toBe(
        headResult.more,
      )
    }
    expect(scanner.parse(new MessageHead(100), scanner.shared, 0, whole.length, true, limits)).toBe(
      headResult.done,
    )
  })

  test('leaves heads beyond its memory to the parser', () => {
    const comparison = new ScanComparison(seededRandom(3))
    const lines = Array.from({ length: 90 }, (_, i) => `X-${i}: ${'v'.repeat(i)}`)
    for (let i = 0; i < 8; i++) comparison.check(request(`/${'p'.repeat(i * 900)}`, ...lines), true)
    expect(comparison.differences).toEqual([])
    expect(comparison.accepted).toBeGreaterThan(4)
  })
})
