/** Tests of kind `circuit-breaker`. */
import { strict as assert } from 'node:assert'
import type { Clock } from '../../core/contracts/index.ts'
import { parseOptions } from '../../core/host/options.ts'
import { bytesPerCall, maxBytes } from './allocation.ts'
import { longestOpenS, most, Threads } from './breaker-threads.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import { numbered } from './view.ts'

/** Real time, as reading it is part of the cost; nothing fires, as the loop that is measured gives no turn. */
const timerless: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: () => ({ cancel() {} }),
  every: () => ({ cancel() {} }),
}

export const exerciseBreaker: Exercise<'circuit-breaker'> = {
  use(_stage, { instance }) {
    for (const backend of numbered(3)) {
      const gate = instance.for(backend, () => {})
      for (let i = 0; i < 50; i++) {
        const token = gate.tryAcquire()
        if (token > 0) gate.settle(token, i % 2 === 0 ? 'failure' : 'success', 1)
      }
    }
  },
}

export const breakerCases: readonly Case<'circuit-breaker'>[] = [
  {
    name: 'is closed at first, and gives tokens',
    async run(stage) {
      const { gates, changes } = await Threads.of(stage, 2)
      for (const gate of gates) {
        assert.equal(gate.state, 'closed')
        const token = gate.tryAcquire()
        assert(Number.isInteger(token) && token > 0, `the token is ${token}; expected an integer above 0`)
      }
      assert.deepEqual(changes, [0, 0], 'told of a change that was none')
    },
  },
  {
    name: 'stays closed while tries succeed or say nothing',
    async run(stage) {
      const threads = await Threads.of(stage, 2)
      for (let i = 0; i < 2000; i++) {
        assert(threads.succeed(i % 2), 'refused although every try succeeded')
        const token = threads.gates[i % 2].tryAcquire()
        assert(token > 0, 'refused although every try succeeded')
        threads.gates[i % 2].settle(token, 'cancelled', Number.NaN)
        if (i % 100 === 0) stage.time.advance(50)
      }
      assert.equal(threads.gates[0].state, 'closed')
    },
  },
  {
    name: 'what is acquired comes back: permits balance',
    async run(stage) {
      const threads = await Threads.of(stage, 2)
      const rounds = Array.from({ length: 5 }, () => {
        const given = threads.permits()
        for (const { thread, token } of given) threads.gates[thread].settle(token, 'cancelled', Number.NaN)
        return given.length
      })
      assert.deepEqual(new Set(rounds).size, 1, `permits of five rounds: ${rounds}`)
      assert(rounds[0] > 0)
    },
  },
  {
    name: 'a try that is settled allocates nothing',
    timeoutMs: 120_000,
    async run(stage) {
      const { instance } = await stage.make({ clock: timerless, context: { threads: 4 } })
      const gate = instance.for(numbered(1)[0], () => {})
      const bytes = await bytesPerCall(() => gate.settle(gate.tryAcquire(), 'success', 1))
      assert(bytes < maxBytes, `${bytes.toFixed(1)} bytes a try; at most ${maxBytes}`)
    },
  },
]

export const openingCases: readonly Case<'circuit-breaker'>[] = [
  {
    name: 'closed → open → half-open → closed',
    async run(stage) {
      const threads = await Threads.of(stage, 1)
      const [gate] = threads.gates
      threads.trip()
      assert.equal(gate.tryAcquire(), 0, 'an open breaker gave a token')
      assert.equal(threads.changes[0], 1, 'the thread that opened it was not told once')
      threads.waitHalfOpen()
      assert(threads.changes[0] >= 2, 'not told that it is half-open')
      for (let tries = 0; tries < most && gate.state === 'half-open'; tries++)
        assert(threads.succeed(), 'refused a trial although all before it succeeded')
      assert.equal(gate.state, 'closed')
      assert(threads.succeed() && threads.changes[0] >= 3, 'not told that it is closed')
    },
  },
  {
    name: 'half-open → open when trials fail, for as long as before',
    async run(stage) {
      const threads = await Threads.of(stage, 1)
      threads.trip()
      threads.waitHalfOpen()
      for (let tries = 0; tries < most && threads.gates[0].state === 'half-open'; tries++) threads.fail()
      assert.equal(threads.gates[0].state, 'open')
      threads.waitHalfOpen()
    },
  },
  {
    name: 'counts over all threads, in shared memory',
    async run(stage) {
      const alone = await Threads.of(stage, 2, numbered(1)[0])
      const needed = alone.trip(0)
      const [, other] = numbered(2)
      const both = await Threads.of(stage, 2, other)
      const together = both.trip(0, 1)
      // A failure is counted where it comes, so the last thread may be one of its own behind.
      assert(
        together <= needed + 2,
        `one thread opens it with ${needed} failures, two need ${together}: it counts per thread`,
      )
      assert.deepEqual(
        both.gates.map(({ state }) => state),
        ['open', 'open'],
      )
    },
  },
  {
    name: 'every thread sees it open, the one that opened it is told',
    async run(stage) {
      const threads = await Threads.of(stage, 3)
      threads.trip(1)
      assert.deepEqual(
        threads.gates.map(({ state }) => state),
        ['open', 'open', 'open'],
      )
      assert.deepEqual(
        threads.gates.map((gate) => gate.tryAcquire()),
        [0, 0, 0],
      )
      assert.deepEqual(threads.changes, [0, 1, 0])
    },
  },
  {
    name: 'half-open permits are bounded, over all threads together',
    async run(stage) {
      const alone = await Threads.of(stage, 1)
      alone.trip()
      alone.waitHalfOpen()
      const permits = alone.permits().length
      assert(permits > 0 && permits < 1000, `half-open gave ${permits} permits`)
      const both = await Threads.of(stage, 3, numbered(2)[1])
      both.trip(2)
      both.waitHalfOpen(1)
      assert.equal(both.permits().length, permits, 'three threads gave another number of permits than one')
    },
  },
  {
    name: 'a trial that says nothing gives its permit back',
    async run(stage) {
      const threads = await Threads.of(stage, 2)
      threads.trip()
      threads.waitHalfOpen()
      for (let i = 0; i < 500; i++) {
        const gate = threads.gates[i % 2]
        const token = gate.tryAcquire()
        assert(token > 0, `refused after ${i} trials that were cancelled`)
        gate.settle(token, 'cancelled', Number.NaN)
        assert.equal(gate.state, 'half-open', 'a cancelled trial moved it')
      }
    },
  },
  {
    name: 'half-open permits that are never settled expire',
    async run(stage) {
      const threads = await Threads.of(stage, 2)
      threads.trip()
      threads.waitHalfOpen()
      threads.permits()
      let waited = 0
      for (; waited < longestOpenS && threads.permits().length === 0; waited++) stage.time.advance(1000)
      assert(waited < longestOpenS, `no permit for ${longestOpenS} s after those given were lost`)
    },
  },
  {
    name: 'tokens of an earlier state do not count',
    async run(stage) {
      const threads = await Threads.of(stage, 2)
      const old = Array.from({ length: 40 }, () => threads.gates[1].tryAcquire())
      threads.trip(0)
      for (const token of old.slice(0, 20)) threads.gates[1].settle(token, 'success', 1)
      assert.equal(threads.gates[0].state, 'open', 'stale successes moved it')
      threads.waitHalfOpen()
      for (const token of old.slice(20)) threads.gates[1].settle(token, 'failure', 1)
      assert.equal(threads.gates[0].state, 'half-open', 'stale failures moved it')
      assert(threads.gates[0].tryAcquire() > 0, 'stale tokens used its permits up')
    },
  },
  {
    name: 'recovers when it is overruled: asked in vain, or not at all (panic, forced open, forced closed)',
    async run(stage) {
      const overruled = await Threads.of(stage, 1)
      overruled.trip()
      for (let i = 0; i < 3000; i++) assert.equal(overruled.gates[0].tryAcquire(), 0)
      overruled.waitHalfOpen()
      const unasked = await Threads.of(stage, 2, numbered(2)[1])
      unasked.trip()
      stage.time.advance(24 * 3600 * 1000)
      assert.equal(unasked.gates[1].state, 'half-open', 'nobody asked for a day')
      for (const threads of [overruled, unasked]) {
        for (let tries = 0; tries < most && threads.gates[0].state !== 'closed'; tries++) threads.succeed()
        assert.equal(threads.gates[0].state, 'closed')
      }
    },
  },
  {
    name: 'backends do not share a breaker',
    async run(stage) {
      const threads = await Threads.of(stage, 1)
      const other = threads.instances[0].for(numbered(2)[1], () =>
        assert.fail('told of a change of another backend'),
      )
      threads.trip()
      assert.equal(other.state, 'closed')
      assert(other.tryAcquire() > 0)
    },
  },
  {
    name: 'new options, or a new instance on the same memory, do not close an open breaker',
    async run(stage) {
      const threads = await Threads.of(stage, 2)
      threads.trip()
      const parsed = parseOptions(stage.subject.plugin as never, stage.subject.options)
      for (const instance of threads.instances) instance.reconfigure?.(parsed as never)
      assert.equal(threads.gates[0].state, 'open', 'reconfigure closed it')
      await threads.add(0, 2, numbered(1)[0])
      assert.equal(threads.gates[2].state, 'open', 'an instance made anew found it closed')
      threads.waitHalfOpen(2)
    },
  },
]
