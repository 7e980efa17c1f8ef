/** Plugins with one fault each; the kit names it. Beside each stands the same plugin without the fault, which passes. */
import { type Backend, type BackendView, definePlugin, type PickRequest, z } from 'millrace'
import { describe, expect, test } from 'vitest'
import { verdicts } from './verdicts.ts'

/** Round-robin with a place for a fault. */
class Turns {
  backends: readonly Backend[] = []
  all: readonly Backend[] = []
  next = 0
  kept: unknown

  update(view: BackendView): void {
    this.backends = view.available
    this.all = view.all
  }

  pick(request: PickRequest): Backend | undefined {
    return this.turn(this.backends, request)
  }

  turn(list: readonly Backend[], request: PickRequest | undefined): Backend | undefined {
    for (let tries = list.length; tries > 0; tries--) {
      this.next = this.next + 1 < list.length ? this.next + 1 : 0
      const backend = list[this.next]
      if (request === undefined || !request.excluded(backend)) return backend
    }
    return undefined
  }
}

class Unavailable extends Turns {
  override pick(request: PickRequest): Backend | undefined {
    return this.turn(this.all, request)
  }
}

class NotExcluding extends Turns {
  override pick(): Backend | undefined {
    return this.turn(this.backends, undefined)
  }
}

class Allocating extends Turns {
  override pick(request: PickRequest): Backend | undefined {
    this.kept = { at: this.next }
    return super.pick(request)
  }
}

class Unfair extends Turns {
  #picks = 0

  override pick(request: PickRequest): Backend | undefined {
    // One pick in twenty goes to the first that is allowed.
    if (++this.#picks % 20 !== 0) return super.pick(request)
    return this.backends.find((backend) => !request.excluded(backend))
  }
}

const algorithm = (create: () => Turns) =>
  definePlugin({ api: 1, kind: 'algorithm', name: 'turns', options: z.strictObject({}), create })
const fixture = { shares: 'even' } as const

describe('algorithm', () => {
  test('the sound one passes', { timeout: 60_000 }, async () => {
    const { failed, passed } = await verdicts(
      algorithm(() => new Turns()),
      { fixture },
    )
    expect(failed).toEqual({})
    expect(passed.length).toBeGreaterThan(15)
  })

  test.each([
    [
      'returns an unavailable backend',
      Unavailable,
      'never picks an unavailable backend while another is left',
      /which is unavailable/,
    ],
    [
      'ignores excluded',
      NotExcluding,
      'never picks an excluded backend while another is left',
      /which is excluded/,
    ],
    [
      'allocates in each pick',
      Allocating,
      'a pick allocates nothing',
      /bytes a pick with 3 backends; at most 4/,
    ],
    ['is not fair', Unfair, 'spreads exchanges as it says (χ², seeded)', /χ² is/],
  ])('one that %s is caught', { timeout: 60_000 }, async (_what, Broken, name, message) => {
    const { failed } = await verdicts(
      algorithm(() => new Broken()),
      { fixture },
      (each) => each === name,
    )
    expect(failed).toEqual({ [name]: expect.stringMatching(message) })
  })

  test('one that leaks a timer is caught, unref’d as it is, with the place it was made', async () => {
    const leaking = definePlugin({
      api: 1,
      kind: 'algorithm',
      name: 'leaking',
      options: z.strictObject({}),
      create(context) {
        const timer = setInterval(() => {}, 1000).unref()
        context.signal.addEventListener('abort', () => setTimeout(() => clearInterval(timer), 20_000).unref())
        return new Turns()
      },
    })
    const name = 'leaves no timer and no socket behind, however often it is stopped'
    const { failed } = await verdicts(leaking, { fixture }, (each) => each === name)
    expect(failed[name]).toMatch(/Timeout made at .*broken-plugins\.test\.ts/)
  })

  test('one that is random by itself, or falls over when it is made half, is caught', async () => {
    const wild = definePlugin({
      api: 1,
      kind: 'algorithm',
      name: 'wild',
      options: z.looseObject({ size: z.number().optional() }),
      create(context) {
        const timer = setInterval(() => {}, 1000)
        context.metrics.counter('picks', 'Picks.')
        context.defer(() => clearInterval(timer))
        const turns = new Turns()
        turns.update = (view) => {
          turns.backends = [...view.available].sort(() => Math.random() - 0.5)
        }
        return turns
      },
    })
    const { failed } = await verdicts(wild, { fixture }, (name) =>
      /chance|half-way|unknown option/.test(name),
    )
    expect(Object.keys(failed)).toEqual([
      'refuses an unknown option, and says which one was meant',
      'a create that fails half-way leaves nothing behind',
      'its only chance is context.random(): the same seed, the same picks',
    ])
  })

  test('a hash that moves every key when a backend leaves is caught', async () => {
    const modulo = definePlugin({
      api: 1,
      kind: 'algorithm',
      name: 'modulo',
      options: z.strictObject({}),
      create() {
        let backends: readonly Backend[] = []
        return {
          update(view) {
            backends = view.available
          },
          pick(request) {
            for (let i = 0; i < backends.length; i++) {
              const backend = backends[(request.hash + i) % backends.length]
              if (!request.excluded(backend)) return backend
            }
            return undefined
          },
        }
      },
    })
    const { failed } = await verdicts(modulo, { fixture: { hashed: true, shares: 'even' } }, (name) =>
      /key/.test(name),
    )
    expect(Object.values(failed).join()).toMatch(/% of the keys moved when a backend failed/)
    const unsaid = await verdicts(modulo, { fixture }, (name) => /depend on the key/.test(name))
    expect(Object.values(unsaid.failed).join()).toMatch(/fixture: \{ hashed: true \}/)
  })
})

/** Opens after five failures, for a second, then lets one through. */
function breaker(where: 'shared' | 'own', faults: { stale?: boolean; forgets?: boolean } = {}) {
  return definePlugin({
    api: 1,
    kind: 'circuit-breaker',
    name: 'five',
    options: z.strictObject({}),
    create: (context) => ({
      for(backend, changed) {
        // [0] state, [1] failures, [2] generation, [3] wall clock of opening in s, [4] permit, [5] when it was given
        const memory = where === 'shared' ? context.shared(backend.id, 24, backend) : new Uint8Array(24)
        const cells = new Int32Array(memory.buffer, memory.byteOffset, 6)
        const now = (): number => Math.floor(context.clock.wall() / 1000) | 0
        const move = (state: number): void => {
          cells[0] = state
          cells[1] = 0
          cells[2]++
          cells[4] = 0
          if (state === 1) cells[3] = now()
          changed()
        }
        const state = (): number => {
          if (cells[0] === 1 && now() - cells[3] >= 1) move(2)
          return cells[0]
        }
        return {
          get state() {
            return (['closed', 'open', 'half-open'] as const)[state()]
          },
          tryAcquire() {
            if (state() === 1) return 0
            if (state() === 2) {
              if (cells[4] === 1 && (faults.forgets || now() - cells[5] < 1)) return 0
              cells[4] = 1
              cells[5] = now()
            }
            return cells[2] + 1
          },
          settle(token, outcome) {
            if (token !== cells[2] + 1 && !faults.stale) return
            if (outcome === 'cancelled') cells[4] = 0
            else if (cells[0] === 2) move(outcome === 'success' ? 0 : 1)
            else if (outcome === 'success') cells[1] = 0
            else if (++cells[1] >= 5) move(1)
          },
        }
      },
    }),
  })
}

describe('circuit breaker', () => {
  const cheap = (name: string): boolean => name !== 'a try that is settled allocates nothing'

  test('the sound one passes', { timeout: 60_000 }, async () => {
    const { failed, passed } = await verdicts(breaker('shared'), {}, cheap)
    expect(failed).toEqual({})
    expect(passed.length).toBeGreaterThan(17)
  })

  test('one that keeps its count in a thread instead of `shared` is caught', async () => {
    const { failed } = await verdicts(breaker('own'), {}, cheap)
    expect(failed['counts over all threads, in shared memory']).toMatch(/it counts per thread/)
  })

  test('one that counts stale tokens is caught', async () => {
    const { failed } = await verdicts(breaker('shared', { stale: true }), {}, cheap)
    expect(Object.keys(failed)).toContain('tokens of an earlier state do not count')
  })

  test('one whose permits never expire is caught', async () => {
    const { failed } = await verdicts(breaker('shared', { forgets: true }), {}, cheap)
    expect(Object.keys(failed)).toContain('half-open permits that are never settled expire')
  })
})

test('a skip must name a test and give a reason', () => {
  const plugin = algorithm(() => new Turns())
  const skip = (name: string, reason: string) => verdicts(plugin, { skip: [{ test: name, reason }] })
  return Promise.all([
    expect(skip('no such test', 'because')).rejects.toThrow(
      /there is no test "no such test"; there are:\n {2}has the shape/,
    ),
    expect(skip('a pick allocates nothing', ' ')).rejects.toThrow(/give a reason/),
  ])
})
