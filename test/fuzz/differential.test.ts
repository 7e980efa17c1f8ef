import { describe, expect, test } from 'vitest'
import { runDifferential } from './compare.ts'
import { type OurReader, ourReader } from './our-reader.ts'

/** A reader with a planted fault, to show that the fuzz finds faults. */
function faulty(plant: (bytes: Buffer) => Buffer): OurReader {
  const sound = ourReader()
  return {
    read(bytes, cuts) {
      const reading = sound.read(plant(bytes), cuts)
      return reading.length > bytes.length ? { ...reading, length: bytes.length } : reading
    },
  }
}

describe('differential fuzz against the parser of Node', () => {
  test('what our parser accepts, the parser of Node reads the same', { timeout: 60_000 }, async () => {
    const report = await runDifferential({ messages: 20_000, seed: 20_260_101 })
    expect(report.differences).toEqual([])
    // A run in which almost nothing is accepted would compare nothing.
    expect(report.accepted).toBeGreaterThan(2_000)
  })

  test('a parser that takes a bare LF for a line end is found out', async () => {
    const reader = faulty((bytes) =>
      Buffer.from(bytes.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1'),
    )
    const report = await runDifferential({ messages: 20_000, seed: 1, maxDifferences: 1, reader })
    expect(report.differences.length).toBeGreaterThan(0)
  })

  test('a parser that ignores a space before the colon is found out', async () => {
    const reader = faulty((bytes) => Buffer.from(bytes.toString('latin1').replace(/ +:/g, ':'), 'latin1'))
    const report = await runDifferential({ messages: 20_000, seed: 1, maxDifferences: 1, reader })
    expect(report.differences.length).toBeGreaterThan(0)
  })
})
