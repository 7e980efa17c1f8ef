import { beforeAll, describe, expect, test } from 'vitest'
import { ourReader } from '../fuzz/our-reader.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { overrides, requestCases } from './cases.ts'
import { corporaPresent } from './directory.ts'
import { type Lane, onLanes, startLanes } from './lanes.ts'
import { everyByte, freshRequest, type ReplayCase, replay } from './replay.ts'

const present = corporaPresent()
const { llhttp, guardian } = present ? requestCases() : { llhttp: [], guardian: [] }
const all = [...llhttp, ...guardian]

/** How many bytes a case begins with that an earlier one begins with, too. */
function sharedPrefix(index: number): number {
  const { bytes } = all[index]
  let longest = 0
  for (const earlier of all.slice(0, index)) {
    let same = 0
    while (same < bytes.length && bytes[same] === earlier.bytes[same]) same++
    longest = Math.max(longest, same)
  }
  return longest
}

/**
 * Offsets of the head and of the first bytes behind it. A cut inside bytes that an earlier case begins with leaves the proxy
 * as that case's cut did, so it is made once; the parser alone is given all of them (below).
 */
function everyOffset(one: ReplayCase): number[] {
  const { bytes } = one
  const head = bytes.indexOf('\r\n\r\n')
  const cuts = everyByte(bytes.length > 600 && head >= 0 ? bytes.subarray(0, head + 12) : bytes)
  const shared = sharedPrefix(all.indexOf(one))
  return cuts.filter((cut) => cut >= shared)
}

describe.skipIf(!present)('request collections', () => {
  let lanes: Lane[] = []
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    lanes = await startLanes(12, cleanup)
  })

  /** Replays every case with each list of cuts; the problems by case. */
  async function replayAll(cutsOf: (one: ReplayCase) => readonly (readonly number[])[]): Promise<string> {
    const problems: string[] = []
    const jobs = all.flatMap((one) => cutsOf(one).map((cuts) => ({ one, cuts })))
    await onLanes(lanes, jobs, async ({ one, cuts }, lane) => {
      const found = await replay(lane, one, cuts).catch((error: Error) => [error.message])
      if (cuts.length !== 1) found.push(...(await freshRequest(lane)))
      for (const problem of found) problems.push(`${one.name}, cut at ${cuts.slice(0, 3)}: ${problem}`)
    })
    return problems.join('\n')
  }

  test('are as many as they were', () => {
    expect(llhttp.length).toBeGreaterThanOrEqual(119)
    expect(guardian.length).toBeGreaterThanOrEqual(159)
    const names = new Set(all.map(({ name }) => name))
    expect(Object.keys(overrides).filter((name) => !names.has(name))).toEqual([])
  })

  test('replayed whole', { timeout: 60_000 }, async () => {
    expect(await replayAll(() => [[]])).toBe('')
  })

  test('replayed byte by byte', { timeout: 120_000 }, async () => {
    expect(await replayAll(({ bytes }) => [everyByte(bytes)])).toBe('')
  })

  test('replayed split at every offset', { timeout: 120_000 }, async () => {
    expect(await replayAll((one) => everyOffset(one).map((cut) => [cut]))).toBe('')
  })

  test('read by the parser the same, split at every offset', () => {
    const reader = ourReader()
    for (const { name, bytes } of all.filter((one) => one.bytes.length < 3_000)) {
      const whole = JSON.stringify(reader.read(bytes, []))
      for (let cut = 1; cut < bytes.length; cut++) {
        if (JSON.stringify(reader.read(bytes, [cut])) !== whole) expect.fail(`${name} cut at ${cut}`)
      }
    }
  })
})
