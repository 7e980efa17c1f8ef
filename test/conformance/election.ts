/** Tests of kind `election`: candidates on the kit's store, under its time; faults by a seed. */
import { strict as assert } from 'node:assert'
import type { Election, FleetNode, Leadership } from '../../core/contracts/index.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import type { MemoryClient } from './memory-store.ts'
import type { Made, Stage } from './stage.ts'
import { seeded } from './time.ts'

type Scene = Stage<'election'>

const ttlMs = 3000

interface Candidate {
  readonly name: string
  readonly election: Election
  readonly made: Made<'election'>
  readonly store: MemoryClient
  readonly address: string
}

class Candidates {
  readonly all: Candidate[] = []
  readonly #stage: Scene
  /** Every term that somebody was elected for, in order. */
  readonly terms: number[] = []
  #seen: number[] = []

  constructor(stage: Scene) {
    this.#stage = stage
  }

  static async of(stage: Scene, count: number): Promise<Candidates> {
    const candidates = new Candidates(stage)
    const nodes = Array.from({ length: count }, (_, index): FleetNode => {
      const id = `o-${index}`
      return { id, boot: `boot-${index}`, role: 'orchestrator', address: `10.0.0.${index}:9901`, zone: '' }
    })
    for (const [index, self] of nodes.entries()) {
      const clock = stage.time.clock(index * 7777)
      const store = stage.store.client(clock)
      const members = { self, all: () => nodes, watch: () => ({ cancel() {} }) }
      const name = `${self.id}/${self.boot}`
      const context = { store, members, network: stage.hub.network(self), candidate: name, ttlMs }
      const made = await stage.make({ clock, seed: index + 1, context })
      candidates.all.push({ name, election: made.instance, made, store, address: self.address })
    }
    return candidates
  }

  /** Time passes, and what must never be is looked for all the while. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) {
      await this.#stage.time.advanceAsync(50)
      this.check()
    }
  }

  async until(what: string, condition: () => boolean, timeoutMs = 4 * ttlMs): Promise<void> {
    for (let passed = 0; passed < timeoutMs && !condition(); passed += 50) await this.pass(50)
    assert(condition(), `not within ${timeoutMs} ms: ${what}`)
  }

  check(): void {
    for (const [index, { made, name }] of this.all.entries()) {
      const calls = made.told.filter(({ call }) => call === 'elected' || call === 'deposed')
      for (let at = this.#seen[index] ?? 0; at < calls.length; at++) {
        const told = calls[at] as { call: 'elected' | 'deposed'; leadership: Leadership }
        assert.equal(
          told.call,
          at % 2 === 0 ? 'elected' : 'deposed',
          `${name}: ${calls.map(({ call }) => call)}`,
        )
        if (told.call === 'deposed')
          assert(!told.leadership.valid(), `${name} was deposed while its leadership is valid`)
        else this.#elected(told.leadership, name)
      }
      this.#seen[index] = calls.length
    }
    const leaders = this.all.filter((candidate) => leadershipOf(candidate)?.valid())
    assert(leaders.length <= 1, `${leaders.map(({ name }) => name).join(' and ')} lead at the same time`)
  }

  #elected({ term }: Leadership, name: string): void {
    const last = this.terms.at(-1) ?? 0
    assert(
      term.number > last,
      `${name} was elected for term ${term.number} after term ${last}: terms strictly increase`,
    )
    this.terms.push(term.number)
  }

  get leader(): Candidate | undefined {
    return this.all.find((candidate) => leadershipOf(candidate)?.valid())
  }

  cut(candidate: Candidate, off: boolean): void {
    candidate.store.cut = off
    if (off) this.#stage.hub.cut(candidate.address)
    else this.#stage.hub.heal(candidate.address)
  }
}

/** The last leadership that it was given; undefined when it was deposed since. */
function leadershipOf({ made }: Candidate): Leadership | undefined {
  const last = made.told.findLast(({ call }) => call === 'elected')
  return last?.call === 'elected' ? last.leadership : undefined
}

export const exerciseElection: Exercise<'election'> = {
  async use(stage, { instance }) {
    instance.campaign()
    await stage.time.advanceAsync(ttlMs)
  },
}

export const electionCases: readonly Case<'election'>[] = [
  {
    name: 'who does not campaign is not elected; one that does, alone, is',
    async run(stage) {
      const candidates = await Candidates.of(stage, 1)
      await candidates.pass(3 * ttlMs)
      assert.equal(candidates.leader, undefined)
      candidates.all[0].election.campaign()
      candidates.all[0].election.campaign()
      await candidates.until('it leads', () => candidates.leader !== undefined)
      const leadership = leadershipOf(candidates.all[0])
      assert(leadership && leadership.remainingMs() > 0 && leadership.remainingMs() < ttlMs)
      await candidates.pass(4 * ttlMs)
      assert(leadership.valid(), 'a leader that is well stays it')
    },
  },
  {
    name: 'of several one leads, and the others know it',
    async run(stage) {
      const candidates = await Candidates.of(stage, 3)
      for (const { election } of candidates.all) election.campaign()
      await candidates.until('one leads', () => candidates.leader !== undefined)
      await candidates.pass(4 * ttlMs)
      assert.equal(candidates.terms.length, 1, 'deposed although nothing had happened')
      const { leader } = candidates
      for (const { made, name } of candidates.all) {
        const known = made.told.findLast(({ call }) => call === 'leader')
        assert.equal(
          known?.call === 'leader' && known.candidate,
          leader?.name,
          `who leads, as ${name} was told`,
        )
      }
    },
  },
  {
    name: 'a leader that is cut off leads no more before the next one does',
    async run(stage) {
      const candidates = await Candidates.of(stage, 3)
      for (const { election } of candidates.all) election.campaign()
      for (let round = 0; round < 4; round++) {
        await candidates.until('one leads', () => candidates.leader !== undefined)
        const former = candidates.leader as Candidate
        candidates.cut(former, true)
        await candidates.until(
          'another leads',
          () => candidates.leader !== undefined && candidates.leader !== former,
        )
        assert.equal(
          former.made.told.findLast(({ call }) => call === 'elected' || call === 'deposed')?.call,
          'deposed',
          'the former leader was not told',
        )
        candidates.cut(former, false)
      }
      assert.equal(candidates.terms.length, 5)
    },
  },
  {
    name: 'who resigns is deposed at once, another takes over, and it may campaign again',
    async run(stage) {
      const candidates = await Candidates.of(stage, 2)
      const [first, second] = candidates.all
      first.election.campaign()
      await candidates.until('the first leads', () => candidates.leader === first)
      second.election.campaign()
      await candidates.pass(500)
      const resigned = first.election.resign()
      assert.equal(leadershipOf(first)?.valid(), false, 'leads while it resigns')
      assert.equal(first.made.told.findLast(({ call }) => call !== 'leader')?.call, 'deposed')
      await candidates.pass(100)
      await resigned
      await first.election.resign()
      await candidates.until('the second leads', () => candidates.leader === second, 1.5 * ttlMs)
      await second.election.resign()
      await candidates.pass(2 * ttlMs)
      assert.equal(candidates.leader, undefined, 'elected after it had resigned')
      first.election.campaign()
      await candidates.until('the first leads again', () => candidates.leader === first)
    },
  },
  {
    name: 'stopping a leader deposes it, and another takes over',
    async run(stage) {
      const candidates = await Candidates.of(stage, 2)
      for (const { election } of candidates.all) election.campaign()
      await candidates.until('one leads', () => candidates.leader !== undefined)
      const former = candidates.leader as Candidate
      await former.made.stop()
      assert.equal(leadershipOf(former)?.valid(), false)
      await candidates.until('another leads', () => candidates.leader !== undefined, 2 * ttlMs)
    },
  },
  ...[1, 2, 3].map(
    (seed): Case<'election'> => ({
      name: `terms strictly increase, at most one leader a term, whatever is cut off (seed ${seed})`,
      timeoutMs: 120_000,
      async run(stage) {
        const random = seeded(seed)
        const candidates = await Candidates.of(stage, 4)
        for (const { election } of candidates.all) election.campaign()
        for (let step = 0; step < 60; step++) {
          const some = candidates.all[Math.floor(random() * candidates.all.length)]
          const what = random()
          if (what < 0.35) candidates.cut(some, true)
          else if (what < 0.7) candidates.cut(some, false)
          else if (what < 0.85) void some.election.resign()
          else some.election.campaign()
          await candidates.pass(Math.floor(random() * ttlMs))
        }
        assert(candidates.terms.length > 3, `only ${candidates.terms.length} terms: nothing was tried`)
        for (const candidate of candidates.all) {
          candidates.cut(candidate, false)
          candidate.election.campaign()
        }
        await candidates.until('one leads when all is well again', () => candidates.leader !== undefined)
      },
    }),
  ),
]
