/** Leases by the clocks: what a process that has just begun may conclude, of nodes whose times are set here. */
import { expect, test } from 'vitest'
import { Leases } from '../../../plugins/lib/zookeeper-leases.ts'
import { Tree } from '../../../plugins/lib/zookeeper-tree.ts'
import { FakeTime } from '../../conformance/time.ts'

/** Nodes with version, transaction and time of their last write; the leader and its clock of the wall are set by the test. */
class Ensemble {
  wall = 1_800_000_000_000
  /** Writes to lease nodes, to count them. */
  readonly writes: string[] = []
  #epoch = 1
  #count = 0
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
        this.writes.push(path)
        return next
      },
    } as never
  }

  /** Another server leads, whose clock is ahead of the last one's by so much. */
  elect(aheadMs: number): void {
    this.#epoch++
    this.#count = 0
    this.wall += aheadMs
  }

  #now() {
    return { mzxid: this.#epoch * 2 ** 32 + ++this.#count, mtime: new Date(this.wall) }
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

test('another leader, whose clock is an hour ahead, does not make a lease old', async () => {
  const { ensemble, client, begin, later } = world()
  const old = begin()
  const first = await old.take(client, 'relay', 'old', 10_000)
  await later(1000)
  ensemble.elect(3_600_000)
  for (let round = 0; round < 3; round++) {
    expect(await begin().take(client, 'relay', 'hasty', 10_000)).toBeUndefined()
    expect((await begin().list(client, '')).map(({ holder }) => holder)).toEqual(['old'])
  }
  // That it was looked at took nothing from its holder.
  expect(await old.renew(client, 'relay', 'old', 10_000, first?.token.number ?? 0)).toBeDefined()
  await old.release(client, 'relay', 'old', first?.token.number ?? 0)
  expect(await begin().take(client, 'relay', 'new', 10_000)).toBeDefined()
})

test('after a change of leader one of long ago is free, a while later, to processes that do not live long', async () => {
  const { ensemble, client, begin, later } = world()
  await begin().take(client, 'relay', 'old', 10_000)
  await later(100_000)
  ensemble.elect(-5000)
  // The first who wants it has it dated by the new one; who only lists it does not, nor does anybody again.
  const undated = ensemble.writes.filter((path) => path.endsWith('/relay')).length
  expect((await begin().list(client, '')).length).toBe(1)
  expect(ensemble.writes.filter((path) => path.endsWith('/relay'))).toHaveLength(undated)
  expect(await begin().take(client, 'relay', 'early', 10_000)).toBeUndefined()
  const dated = ensemble.writes.filter((path) => path.endsWith('/relay')).length
  await later(9_000)
  expect(await begin().take(client, 'relay', 'hasty', 10_000)).toBeUndefined()
  expect(ensemble.writes.filter((path) => path.endsWith('/relay'))).toHaveLength(dated)
  await later(62_000)
  expect((await begin().list(client, '')).length).toBe(0)
  expect(await begin().take(client, 'relay', 'new', 10_000)).toBeDefined()
})

test('who dates a lease that it watches has it no later', async () => {
  const { ensemble, client, begin, later } = world()
  await begin().take(client, 'relay', 'old', 200_000)
  const patient = begin()
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeUndefined()
  ensemble.elect(3_600_000)
  await later(199_999)
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeUndefined()
  await later(1)
  expect(await patient.take(client, 'relay', 'patient', 1000)).toBeDefined()
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
