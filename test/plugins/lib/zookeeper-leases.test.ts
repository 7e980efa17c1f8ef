/** Leases by the clocks: what a process that has just begun may conclude, of nodes whose times are set here. */
import { expect, test } from 'vitest'
import { Leases } from '../../../plugins/lib/zookeeper-leases.ts'
import { Tree } from '../../../plugins/lib/zookeeper-tree.ts'
import { FakeTime } from '../../conformance/time.ts'

/** Nodes with version, transaction and time of their last write; the server's clock of the wall is set by the test. */
class Ensemble {
  wall = 1_800_000_000_000
  #zxid = 0
  readonly #nodes = new Map<string, { data: Buffer; version: number; mzxid: number; mtime: Date }>()

  client() {
    return {
      sync: async () => {},
      get: async (path: string) => {
        const node = this.#nodes.get(path)
        return node && { data: node.data, stat: { ...node } }
      },
      children: async (path: string) =>
        [...this.#nodes.keys()].flatMap((key) =>
          key.startsWith(`${path}/`) ? [key.slice(path.length + 1)] : [],
        ),
      create: async (path: string, data: Buffer) => {
        if (this.#nodes.has(path)) return false
        this.#nodes.set(path, { data, version: 0, ...this.#now() })
        return true
      },
      set: async (path: string, data: Buffer, version: number) => {
        const node = this.#nodes.get(path)
        if (!node || (version !== -1 && version !== node.version)) return undefined
        const next = { data, version: node.version + 1, ...this.#now() }
        this.#nodes.set(path, next)
        return next
      },
    } as never
  }

  #now() {
    return { mzxid: ++this.#zxid, mtime: new Date(this.wall) }
  }
}

function world() {
  const ensemble = new Ensemble()
  const time = new FakeTime()
  /** A process: it has a clock of the wall of its own. */
  const begin = (wall: () => number = () => ensemble.wall) =>
    new Leases(new Tree('/millrace', 'default', false), { ...time.clock(), wall })
  const later = async (ms: number) => {
    ensemble.wall += ms
    await time.advanceAsync(ms)
  }
  return { ensemble, client: ensemble.client(), begin, later }
}

test('who has watched a lease for its whole time has it; who has just come has not', async () => {
  const { client, begin, later } = world()
  const [old, patient] = [begin(), begin()]
  const first = await old.take(client, 'relay', 'old', 1000)
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeUndefined()
  await later(999)
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeUndefined()
  await later(1)
  expect(await begin().take(client, 'relay', 'hasty', 1000)).toBeUndefined()
  const next = await patient.take(client, 'relay', 'patient', 1000)
  expect(next?.token.number).toBeGreaterThan(first?.token.number ?? Number.NaN)
  expect(await old.renew(client, 'relay', 'old', 1000, first?.token.number ?? 0)).toBeUndefined()
})

test('a renewal begins the wait again', async () => {
  const { client, begin, later } = world()
  const [old, patient] = [begin(), begin()]
  const first = await old.take(client, 'relay', 'old', 1000)
  await patient.take(client, 'relay', 'patient', 1000)
  await later(900)
  expect(await old.renew(client, 'relay', 'old', 1000, first?.token.number ?? 0)).toBeDefined()
  await later(900)
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeUndefined()
  await later(999)
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeUndefined()
  await later(1)
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeDefined()
})

test('one of long ago, by its own clock and by that of the server, is free to who has just come; by one of them it is not', async () => {
  const { ensemble, client, begin, later } = world()
  await begin().take(client, 'relay', 'old', 1000)
  await later(30_000)
  const ahead = begin(() => ensemble.wall + 3_600_000)
  expect(await ahead.take(client, 'relay', 'ahead', 1000)).toBeUndefined()
  expect((await begin().list(client, '')).map(({ holder }) => holder)).toEqual(['old'])
  await later(32_000)
  const behind = begin(() => ensemble.wall - 3_600_000)
  expect(await behind.take(client, 'relay', 'behind', 1000)).toBeUndefined()
  expect(await begin().list(client, '')).toEqual([])
  expect(await begin().take(client, 'relay', 'new', 1000)).toBeDefined()
})

test('taken again by its holder while its release is under way it is another one, with a greater token', async () => {
  const { client, begin } = world()
  const leases = begin()
  const first = await leases.take(client, 'relay', 'me', 60_000)
  const given = first?.token.number ?? Number.NaN
  expect((await leases.take(client, 'relay', 'me', 1000))?.token.number).toBe(given)
  const second = await leases.take(client, 'relay', 'me', 1000, () => given)
  expect(second?.token.number).toBeGreaterThan(given)
  expect(await leases.renew(client, 'relay', 'me', 1000, given)).toBeUndefined()
  // The release arrives.
  await leases.release(client, 'relay', 'me', given)
  expect(await leases.list(client, '')).toMatchObject([{ name: 'relay', token: second?.token }])
  expect(await leases.take(client, 'relay', 'other', 1000)).toBeUndefined()
})

test('released while it is taken again: what is taken is another one', async () => {
  const { client, begin } = world()
  const leases = begin()
  const first = await leases.take(client, 'relay', 'me', 1000)
  const given = first?.token.number ?? Number.NaN
  const said = [undefined, given]
  const second = await leases.take(client, 'relay', 'me', 1000, () =>
    said.length > 1 ? said.shift() : given,
  )
  expect(second?.token.number).toBeGreaterThan(given)
  await leases.release(client, 'relay', 'me', given)
  expect(await leases.list(client, '')).toMatchObject([{ token: second?.token }])
})
