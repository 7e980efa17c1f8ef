/** Mutated requests through a running proxy: whatever is in them, both ends agree on what was asked and answered. */
import { beforeAll, expect, test } from 'vitest'
import { type Lane, onLanes, startLanes } from '../corpora/lanes.ts'
import { replay } from '../corpora/replay.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { corpusSeeds, pickMessage } from './grammar.ts'
import { mutate } from './mutate.ts'
import { seededRandom } from './random.ts'

const messages = 4_000
const seed = 7

let lanes: Lane[] = []
const cleanup = untilFileEnds()
beforeAll(async () => {
  lanes = await startLanes(12, cleanup)
})

test('no mutated request is understood in two ways', { timeout: 120_000 }, async () => {
  const random = seededRandom(seed)
  const seeds = corpusSeeds()
  const pick = (): string => pickMessage(random, seeds)
  const mutated = Array.from({ length: messages }, () => {
    // Whether a mutated HEAD is still one cannot be judged from outside, and with it where its answer ends.
    const text = mutate(pick(), pick, random).replaceAll('HEAD', 'GET')
    // Two in a row, so that what is left of the first would be read as the second.
    return random.chance(0.3) ? text + mutate(pick(), pick, random).replaceAll('HEAD', 'GET') : text
  })
  const problems: string[] = []
  let served = 0
  await onLanes(lanes, mutated, async (text, lane) => {
    const bytes = Buffer.from(text, 'latin1')
    const cuts = random.chance(0.5)
      ? []
      : [1 + random.below(bytes.length)].filter((cut) => cut < bytes.length)
    const before = lane.backend.requests.length
    const one = { name: text, bytes, verdict: 'either' as const, complete: 0 }
    for (const problem of await replay(lane, one, cuts)) problems.push(`${JSON.stringify(text)}: ${problem}`)
    served += lane.backend.requests.length - before
  })
  expect(problems.join('\n')).toBe('')
  expect(served).toBeGreaterThan(messages / 8)
})
