import type { Filter, FilterExchange, OwnResponse } from 'millrace'
import { beforeAll, describe, expect, test } from 'vitest'
import { RateTable, rateScale, rateTableBytes } from '../../../plugins/lib/rate-table.ts'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { fieldValue } from '../../harness/message-reader.ts'
import { FakeTime, seeded, threadContext } from '../fake-context.ts'
import { builtin, parsed } from '../make.ts'
import { freshBackend, type Served, serve } from './serve.ts'

interface Ask {
  readonly address?: string
  readonly route?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** The filter on a clock that a test moves; several of them with one memory are the threads of a process. */
async function limiter(options: object, time = new FakeTime(), memory = new Map(), thread = 0) {
  const plugin = builtin('filter', 'rate-limit')
  const context = threadContext({ clock: time.clock(thread * 1e6), memory, thread, threads: 4 })
  const filter: Filter = await plugin.create(context, parsed(plugin, options))
  const ask = ({ address = '192.0.2.1', route = 'r', headers = {} }: Ask = {}): OwnResponse | undefined => {
    let answer: OwnResponse | undefined
    const request = { clientAddress: address, headers: { get: (name: string) => headers[name] } }
    const exchange = { request, route, respond: (own: OwnResponse) => (answer = own) }
    filter.onRequest?.(exchange as unknown as FilterExchange)
    return answer
  }
  const passed = (times: number, what: Ask = {}): number =>
    Array.from({ length: times }, () => ask(what)).filter((answer) => answer === undefined).length
  return { filter, ask, passed, time, memory }
}

describe('a bucket', () => {
  test('gives its burst at once, then as many as the rate', async () => {
    const { passed, time } = await limiter({ rate: '10/s', burst: 5 })
    expect(passed(20)).toBe(5)
    time.advance(99)
    expect(passed(5)).toBe(0)
    time.advance(2)
    expect(passed(5)).toBe(1)
    time.advance(300)
    expect(passed(9)).toBe(3)
    time.advance(60_000)
    expect(passed(20)).toBe(5)
  })

  test('holds a second’s worth by default, one at least', async () => {
    expect((await limiter({ rate: '20/s' })).passed(100)).toBe(20)
    expect((await limiter({ rate: '10/h' })).passed(100)).toBe(1)
  })

  test.each([
    ['1/h', 3, 3_600_000],
    ['600/m', 20, 100],
    ['1000/s', 10, 1],
    ['1000000/s', 1_000_000, 0.001],
  ])('of %s keeps to it over hours', async (rate, burst, tokenMs) => {
    const { passed, time } = await limiter({ rate, burst })
    expect(passed(burst)).toBe(burst)
    expect(passed(1)).toBe(0)
    // Less than what the bucket holds, so that nothing is lost where a token comes a little later.
    const [rounds, step] = [60, Math.min(burst, 10) / 2]
    let total = 0
    for (let round = 0; round < rounds; round++) {
      time.advance(tokenMs * step)
      total += passed(20)
    }
    expect(total / (rounds * step)).toBeGreaterThan(0.98)
    expect(total / (rounds * step)).toBeLessThanOrEqual(1.01)
  })

  test('that was full long ago does not come back empty, however long it takes', async () => {
    const { passed, time } = await limiter({ rate: '100/s', burst: 100 })
    for (let minutes = 0; minutes < 40; minutes++) {
      expect(passed(200)).toBe(100)
      time.advance(61_371)
    }
  })
})

describe('the answer', () => {
  test('is 429 with Retry-After and the RateLimit fields', async () => {
    const { ask, passed } = await limiter({ rate: '30/m', burst: 2 })
    passed(2)
    expect(ask()).toMatchObject({
      status: 429,
      headers: {
        'Retry-After': '2',
        'RateLimit-Policy': '"default";q=2;w=4',
        RateLimit: '"default";r=0;t=4',
      },
    })
  })
})

describe('keys', () => {
  test('are clients; an IPv6 client is its /64, and an IPv4-mapped address is the IPv4 one', async () => {
    const { passed } = await limiter({ rate: '1/m' })
    expect(passed(2, { address: '192.0.2.1' })).toBe(1)
    expect(passed(2, { address: '::ffff:192.0.2.1' })).toBe(0)
    expect(passed(2, { address: '192.0.2.2' })).toBe(1)
    expect(passed(2, { address: '2001:db8:0:1::1' })).toBe(1)
    expect(passed(2, { address: '2001:db8:0:1:ffff::2' })).toBe(0)
    expect(passed(2, { address: '2001:db8:0:2::1' })).toBe(1)
    expect(passed(2, { address: '' })).toBe(1)
  })

  test('are the values of a header; without it the client', async () => {
    const { passed } = await limiter({ rate: '1/m', key: 'header:X-Key' })
    expect(passed(2, { headers: { 'x-key': 'a' } })).toBe(1)
    expect(passed(2, { headers: { 'x-key': 'b' } })).toBe(1)
    expect(passed(2, { headers: { 'x-key': 'a' }, address: '192.0.2.9' })).toBe(0)
    expect(passed(2)).toBe(1)
    expect(passed(2, { address: '192.0.2.9' })).toBe(1)
  })

  test('are routes', async () => {
    const { passed } = await limiter({ rate: '1/m', key: 'route' })
    expect(passed(2, { route: 'a', address: '192.0.2.1' })).toBe(1)
    expect(passed(2, { route: 'a', address: '192.0.2.2' })).toBe(0)
    expect(passed(2, { route: 'b' })).toBe(1)
  })
})

test('threads count together, whatever their clocks begin with', async () => {
  const first = await limiter({ rate: '1/s', burst: 10 })
  const threads = [first]
  for (const thread of [1, 2, 3])
    threads.push(await limiter({ rate: '1/s', burst: 10 }, first.time, first.memory, thread))
  const total = (): number => threads.reduce((sum, one) => sum + one.passed(6), 0)
  expect(total()).toBe(10)
  first.time.advance(3000)
  expect(total()).toBe(3)
})

test('new options hold at once, and counts go on', async () => {
  const { filter, passed, time } = await limiter({ rate: '10/s', burst: 10 })
  expect(passed(10)).toBe(10)
  const plugin = builtin('filter', 'rate-limit')
  filter.reconfigure?.(parsed(plugin, { rate: '20/s', burst: 10 }) as never)
  expect(passed(1)).toBe(0)
  time.advance(1001)
  expect(passed(20)).toBe(10)
})

describe('a table that is too small', () => {
  const scale = rateScale(1, 10)
  const table = (keys: number, time: FakeTime) =>
    new RateTable(
      new Uint8Array(new SharedArrayBuffer(rateTableBytes(keys))),
      keys,
      scale,
      time.clock(),
      seeded(1),
    )

  test('forgets the fullest bucket, never gives less', () => {
    const small = table(8, new FakeTime())
    const drain = (tag: number): number => {
      let taken = 0
      while (taken < 50 && small.take(0, tag)) taken++
      return taken
    }
    for (let tag = 1; tag <= 15; tag += 2) expect(drain(tag)).toBe(10)
    // The ninth takes the place of another, which starts again. The one that is drained last stays.
    expect(drain(101)).toBe(10)
    expect(small.take(0, 101)).toBe(false)
    const again = [1, 3, 5, 7, 9, 11, 13, 15].filter((tag) => small.take(0, tag))
    expect(again.length).toBeGreaterThan(0)
  })

  test('gives places back when their buckets are full again', () => {
    const time = new FakeTime()
    const small = table(8, time)
    for (let tag = 1; tag <= 15; tag += 2) small.take(0, tag)
    time.advance(1001)
    small.sweep()
    for (let tag = 0; tag < 10; tag++) small.take(0, 101)
    for (let tag = 201; tag < 214; tag += 2) expect(small.take(0, tag)).toBe(true)
    expect(small.take(0, 101)).toBe(false)
  })
})

describe('a wall clock that is set back by a minute', () => {
  const set = () => {
    const time = new FakeTime()
    const steady = time.clock()
    let shift = 0
    const clock = { ...steady, wall: () => steady.wall() + shift }
    const memory = new Uint8Array(new SharedArrayBuffer(rateTableBytes(8)))
    const small = new RateTable(memory, 8, rateScale(1, 10), clock, seeded(1))
    const taken = (): number => Array.from({ length: 20 }, () => small.take(0, 1)).filter(Boolean).length
    expect(taken()).toBe(10)
    shift = -60_000
    small.sync()
    return { time, taken }
  }

  test('keeps nobody out for longer than a bucket takes to fill', () => {
    const { time, taken } = set()
    expect(taken()).toBe(0)
    time.advance(10_001)
    expect(taken()).toBe(10)
  })

  test('gives nobody more than the rate from then on', () => {
    const { time, taken } = set()
    let total = taken()
    for (let second = 0; second < 10; second++) {
      time.advance(1000)
      total += taken()
    }
    expect(total).toBeLessThanOrEqual(10)
  })
})

describe('over real sockets', () => {
  let served: Served
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    served = await serve(
      cleanup,
      {
        few: [{ use: 'rate-limit', rate: '1/h', burst: 3 }],
        told: [{ use: 'rate-limit', rate: '2/h', burst: 3, headers: true }],
        keyed: [{ use: 'rate-limit', rate: '1/h', key: 'header:x-key' }],
      },
      { node: { threads: 2 } },
    )
  })
  freshBackend(() => served)

  test('over both threads a client is served no more than its burst', async () => {
    // Connections are spread over the threads by the kernel.
    const answers = await Promise.all(Array.from({ length: 20 }, () => served.ask('few')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3)
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(17)
    expect(Number(fieldValue(refused[0], 'retry-after'))).toBeGreaterThan(3500)
    expect(served.backend.requests).toHaveLength(3)
  })

  test('answers say how much is left, where they are to', async () => {
    const first = await served.ask('told')
    expect(fieldValue(first, 'ratelimit-policy')).toBe('"default";q=3;w=5400')
    expect(fieldValue(first, 'ratelimit')).toBe('"default";r=2;t=1800')
    expect(fieldValue(await served.ask('few'), 'ratelimit-policy')).toBeDefined()
  })

  test('each value of the header has its own', async () => {
    const ask = async (key: string) => (await served.ask('keyed', { fields: [`X-Key: ${key}`] })).status
    expect([await ask('a'), await ask('a'), await ask('b')]).toEqual([200, 429, 200])
  })
})
