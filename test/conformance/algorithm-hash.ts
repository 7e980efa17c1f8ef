/** Tests of an algorithm that depends on the key: consistency. */
import { strict as assert } from 'node:assert'
import type { Algorithm, Backend } from '../../core/contracts/index.ts'
import { madeWith, viewOf } from './algorithm.ts'
import type { Case } from './case.ts'
import { seeded } from './time.ts'
import { numbered, Request } from './view.ts'

const keys = 5000
/** How many keys may move that need not, as a share of all: Maglev trades some for even shares (§5.3). */
const slack = 0.1

function placed(instance: Algorithm): (Backend | undefined)[] {
  const random = seeded(11)
  const request = new Request(random)
  return Array.from({ length: keys }, () => instance.pick(request.key(Math.floor(random() * 2 ** 32))))
}

/** Share of the keys that went elsewhere although their backend is still there. */
function moved(before: readonly (Backend | undefined)[], after: typeof before, gone?: Backend): number {
  const without = before.filter((place, index) => place !== gone && place?.id !== after[index]?.id)
  return without.length / before.length
}

const few = (share: number, when: string): void =>
  assert(
    share <= slack,
    `${(share * 100).toFixed(1)} % of the keys moved ${when} that need not have; at most ${slack * 100} %`,
  )

export const hashCases: readonly Case<'algorithm'>[] = [
  {
    name: 'the same key goes to the same backend, in every thread and after every update',
    async run(stage) {
      const view = viewOf(stage, numbered(12))
      const first = await madeWith(stage, view, 1)
      const places = placed(first)
      assert.deepEqual(moved(places, placed(first)), 0, 'the second time')
      first.update(viewOf(stage, numbered(12)))
      assert.deepEqual(moved(places, placed(first)), 0, 'after an update')
      assert.deepEqual(moved(places, placed(await madeWith(stage, view, 77))), 0, 'with other random numbers')
    },
  },
  {
    name: 'the keys of a backend that fails go to others, few others move, and all come home',
    async run(stage) {
      const all = numbered(12)
      const instance = await madeWith(stage, viewOf(stage, all))
      const before = placed(instance)
      const gone = all[5]
      instance.update(
        viewOf(
          stage,
          all,
          all.filter((backend) => backend !== gone),
        ),
      )
      const during = placed(instance)
      few(moved(before, during, gone), 'when a backend failed')
      const heirs = new Set(during.filter((_, index) => before[index] === gone))
      assert(heirs.size > 3, `all keys of the failed backend went to ${heirs.size} others`)
      instance.update(viewOf(stage, all))
      assert.deepEqual(moved(before, placed(instance)), 0, 'after it has come back')
    },
  },
  {
    name: 'a backend that leaves or joins moves few keys but its own',
    async run(stage) {
      const all = numbered(12)
      const instance = await madeWith(stage, viewOf(stage, all))
      const before = placed(instance)
      instance.update(viewOf(stage, all.slice(1)))
      const after = placed(instance)
      few(moved(before, after, all[0]), 'when a backend left')
      instance.update(viewOf(stage, all))
      assert.deepEqual(moved(before, placed(instance)), 0, 'after it has joined again')
    },
  },
]

export const notHashedCases: readonly Case<'algorithm'>[] = [
  {
    name: 'does not depend on the key, which nobody then computes',
    async run(stage) {
      const instance = await madeWith(stage, viewOf(stage, numbered(4)))
      const request = new Request(seeded(1))
      for (let i = 0; i < 20; i++) instance.pick(request)
      assert(!request.read, 'it reads request.hash: give the kit fixture: { hashed: true }')
    },
  },
]

export const tableCases: readonly Case<'algorithm'>[] = [
  {
    name: 'buildTable is pure: the same members, the same bytes; and no table is needed to pick',
    async run(stage) {
      const members = numbered(20, (index) => 1 + (index % 4))
      const { plugin } = stage.subject
      assert(plugin.buildTable)
      const tables = [viewOf(stage, members).table, viewOf(stage, members).table]
      assert(tables[0] && tables[1])
      assert.equal(Buffer.compare(tables[0], tables[1]), 0)
      assert(viewOf(stage, []).table, 'buildTable of no members must be a table')
    },
  },
]
