/** The follower of the overrides on a simulated store: hints, polling, forks. */
import { expect, onTestFinished, test } from 'vitest'
import {
  encodeOverrides,
  noOverrides,
  type OverridesDocument,
  overridesDocument,
} from '#core/config/overrides'
import { OverridesFollower } from '#core/config/sync/overrides-follower'
import type { RevisionAt } from '#core/config/sync/state'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime, seeded } from '../../conformance/time.ts'

const decided = (actor: string): OverridesDocument => ({
  ...noOverrides,
  breakers: [{ service: 'app', mode: 'open', reason: 'x', actor, since: '2026-01-01T00:00:00.000Z' }],
})

class Bench {
  readonly time = new FakeTime()
  readonly data = new MemoryStore(this.time)
  readonly client = this.data.client()
  readonly used: { readonly actor: string | undefined; readonly at: RevisionAt }[] = []
  readonly lines: string[] = []
  readonly follower: OverridesFollower
  #writes = 0

  constructor(seen?: RevisionAt) {
    const write =
      (level: string) =>
      (message: string): void =>
        void this.lines.push(`${level} ${message}`)
    this.follower = new OverridesFollower({
      ...{
        store: this.client,
        clock: this.time.clock(),
        random: seeded(1),
        pollMs: 1000,
        reconcileMs: 60_000,
        seen,
      },
      log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
      use: (document, at) => void this.used.push({ actor: document.breakers[0]?.actor, at }),
    })
    onTestFinished(() => this.follower.stop())
  }

  async put(actor: string): Promise<void> {
    const client = this.data.client()
    const head = await client.get(overridesDocument)
    const id = `write-${++this.#writes}-${actor}`
    await client.put(overridesDocument, encodeOverrides(decided(actor)), head?.revision ?? null, id, {
      by: actor,
    })
  }

  get serves(): string | undefined {
    return this.used.at(-1)?.actor
  }

  /** What a replica has that was promoted. */
  lose(count: number): void {
    this.data.documents.get(overridesDocument)?.history.splice(0, count)
  }
}

test('while the bus is down it polls; once it is up and caught up only hints and the slow reconcile make it read', async () => {
  const bench = new Bench()
  bench.follower.start()
  await bench.put('ann')
  await bench.time.advanceAsync(1500)
  expect(bench.serves).toBe('ann')
  expect(bench.follower.polling).toBe(true)
  bench.follower.bus('up')
  await bench.time.advanceAsync(100)
  expect(bench.follower.polling).toBe(false)
  const { reads } = bench.follower
  await bench.put('bob')
  await bench.time.advanceAsync(30_000)
  expect([bench.serves, bench.follower.reads]).toEqual(['ann', reads])
  bench.follower.hint(overridesDocument, { number: 2, id: 'write-2-bob' })
  await bench.time.advanceAsync(10)
  expect(bench.serves).toBe('bob')
  bench.follower.hint(overridesDocument, { number: 2, id: 'write-2-bob' })
  bench.follower.hint('config', { number: 9, id: 'x' })
  const after = bench.follower.reads
  await bench.time.advanceAsync(10)
  expect(bench.follower.reads).toBe(after)
  await bench.put('cat')
  await bench.time.advanceAsync(80_000)
  expect(bench.serves).toBe('cat')
})

test('forged hints cost few reads, however many they are, and hold up a true one for no longer than 250 ms', async () => {
  const bench = new Bench()
  await bench.put('ann')
  bench.follower.start()
  await bench.time.advanceAsync(10)
  bench.follower.bus('up')
  await bench.time.advanceAsync(100)
  const { reads } = bench.follower
  let number = 100
  const flood = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left--) {
      for (let n = 0; n < 5; n++) bench.follower.hint(overridesDocument, { number: ++number, id: 'forged' })
      bench.follower.hint(overridesDocument, { number: 1, id: `forged-${number}` })
      if (left % 2 === 0) bench.follower.hint(overridesDocument)
      await bench.time.advanceAsync(1)
    }
  }
  await flood(5000)
  // Four looks a second, and the quicker ones of the beginning; each asks for the head and the lineage.
  expect(bench.follower.reads - reads).toBeLessThan(2 * 30)
  expect(bench.follower.reads - reads).toBeGreaterThan(2 * 10)
  await bench.put('bob')
  bench.follower.hint(overridesDocument, { number: 2, id: 'write-2-bob' })
  await flood(251)
  expect(bench.serves).toBe('bob')
  // Whoever waits for what the store holds is not held up by a pause.
  await bench.put('cat')
  await bench.follower.look()
  expect(bench.serves).toBe('cat')
  // The flood is over: nothing more is read.
  await bench.time.advanceAsync(2000)
  const after = bench.follower.reads
  await bench.time.advanceAsync(10_000)
  expect(bench.follower.reads).toBe(after)
})

test('hints move a store that is away to no more tries', async () => {
  const bench = new Bench()
  await bench.put('ann')
  bench.follower.start()
  await bench.time.advanceAsync(10)
  bench.client.cut = true
  bench.follower.bus('up')
  await bench.time.advanceAsync(5000)
  const { reads } = bench.follower
  for (let n = 0; n < 5000; n++) {
    bench.follower.hint(overridesDocument, { number: 100 + n, id: 'forged' })
    await bench.time.advanceAsync(1)
  }
  expect(bench.follower.reads - reads).toBeLessThan(10)
  bench.client.cut = false
  await bench.put('bob')
  await bench.time.advanceAsync(1500)
  expect(bench.serves).toBe('bob')
})

test('a store that is away is asked again, soon and then once a second; what is in force stays', async () => {
  const bench = new Bench()
  await bench.put('ann')
  bench.follower.start()
  await bench.time.advanceAsync(10)
  bench.client.cut = true
  bench.follower.bus('up')
  bench.follower.bus('down')
  await bench.put('bob')
  await bench.time.advanceAsync(20_000)
  expect(bench.serves).toBe('ann')
  bench.client.cut = false
  await bench.time.advanceAsync(1500)
  expect(bench.serves).toBe('bob')
  expect(bench.lines.filter((line) => /^(warn|error)/.test(line))).toEqual([])
})

test('lost writes are a fork: held for 30 s, then followed; healed it is no more', async () => {
  const bench = new Bench()
  await bench.put('ann')
  await bench.put('bob')
  bench.follower.start()
  await bench.time.advanceAsync(10)
  expect(bench.serves).toBe('bob')
  bench.lose(1)
  await bench.time.advanceAsync(20_000)
  expect(bench.serves).toBe('bob')
  expect(bench.lines.filter((line) => line.startsWith('error overrides: FORK'))).toHaveLength(1)
  await bench.time.advanceAsync(15_000)
  expect(bench.serves).toBe('ann')
  await bench.put('cat')
  await bench.time.advanceAsync(1500)
  expect(bench.serves).toBe('cat')
})

test('a store that has lost everything is not followed, also after a restart of the node', async () => {
  const seen = { lineage: 'lineage-1', number: 7, id: 'seven' }
  const bench = new Bench(seen)
  bench.follower.start()
  await bench.time.advanceAsync(120_000)
  expect(bench.used).toEqual([])
  expect(bench.lines.filter((line) => line.includes('FORK'))).toHaveLength(1)
  await bench.put('ann')
  await bench.time.advanceAsync(40_000)
  expect(bench.serves).toBe('ann')
})

test('a schema newer than known is not used, and told once', async () => {
  const bench = new Bench()
  await bench.put('ann')
  bench.follower.start()
  await bench.time.advanceAsync(10)
  const head = await bench.data.client().get(overridesDocument)
  await bench.data
    .client()
    .put(overridesDocument, encodeOverrides(decided('new')), head?.revision ?? null, 'newer', {
      by: 'x',
      schema: 2,
    })
  await bench.time.advanceAsync(20_000)
  expect(bench.serves).toBe('ann')
  expect(bench.lines.filter((line) => line.startsWith('error'))).toHaveLength(1)
})
