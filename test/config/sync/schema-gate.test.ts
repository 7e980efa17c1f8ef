/** Which schema may be written, and over which: a writer of one version among nodes and writers of others. */
import { describe, expect, test } from 'vitest'
import { withDrain } from '#core/config/overrides'
import { editDocument, putSettled } from '#core/config/sync/put'
import { StoreOverrides } from '#core/config/sync/store-overrides'
import type { ConfigStore } from '#core/contracts/index'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime } from '../../conformance/time.ts'
import { following } from './fixture.ts'

const second = { by: 'test', schema: 2 }
const value = Buffer.from('{}')

function bench() {
  const time = new FakeTime()
  const data = new MemoryStore(time)
  const store: ConfigStore = data.client()
  let ids = 0
  const deps = { store, clock: time.clock(), newId: () => `id-${++ids}` }
  const record = async (id: string, text: string): Promise<void> => {
    await store.put(`node/${id}`, Buffer.from(text), null, `record-${id}`, { by: id })
  }
  const lives = async (id: string): Promise<void> => {
    await store.lease(`node/${id}`, `${id}/boot`, 15_000)
  }
  const noteOf = (document: string) => data.documents.get(document)?.history.map(({ note }) => note.schema)
  return { deps, record, lives, noteOf }
}

describe('nodes that live', () => {
  test.each([
    ['reads an older one', '{"config":{"schema":1}}'],
    ['does not say what it reads', '{"zone":"a"}'],
    ['has a record that cannot be understood', 'null'],
    ['has no record yet', undefined],
  ])('one that %s: nothing is written, and the message names it', async (_what, text) => {
    const { deps, record, lives, noteOf } = bench()
    await lives('lb-1')
    if (text !== undefined) await record('lb-1', text)
    await expect(putSettled(deps, 'config', value, null, second)).rejects.toMatchObject({
      code: 'MR_STORE_SCHEMA',
      message: expect.stringContaining('in schema 2, and node/lb-1 reads up to 1'),
    })
    expect(noteOf('config')).toBe(undefined)
  })

  test('when all of them read it, it is written, whatever those read that are gone', async () => {
    const { deps, record, lives, noteOf } = bench()
    await lives('lb-1')
    await record('lb-1', '{"config":{"schema":2}}')
    await record('gone', '{"config":{"schema":1}}')
    expect(await putSettled(deps, 'config', value, null, second)).toMatchObject({ status: 'committed' })
    expect(noteOf('config')).toEqual([2])
    await expect(putSettled(deps, 'overrides', value, null, second)).rejects.toMatchObject({
      code: 'MR_STORE_SCHEMA',
    })
  })

  test('nobody is asked about the first schema', async () => {
    const { deps, lives } = bench()
    await lives('lb-1')
    const asked: string[] = []
    const store: Pick<ConfigStore, 'get' | 'put' | 'leases'> = {
      get: async (document) => {
        asked.push(document)
        return null
      },
      leases: async (prefix) => {
        asked.push(prefix)
        return []
      },
      put: (...given) => deps.store.put(...given),
    }
    const note = { by: 'test' }
    expect(await putSettled({ ...deps, store }, 'config', value, null, note)).toMatchObject({
      status: 'committed',
    })
    expect(asked).toEqual([])
  })

  test('an LB server says of both documents what it reads', async () => {
    const { node } = await following()
    expect(node.record).toMatchObject({ config: { schema: 1 }, overrides: { schema: 1 } })
  })
})

describe('what a newer version has written', () => {
  test.each([
    ['config', value],
    ['config', null],
    ['overrides', value],
    ['overrides', null],
    ['another', value],
  ])('%s: no edit replaces it', async (document, before) => {
    const { deps, noteOf } = bench()
    await deps.store.put(document, before, null, 'newer', second)
    let edits = 0
    const edit = () => {
      edits++
      return { value, note: { by: 'test' } }
    }
    await expect(editDocument(deps, document, edit)).rejects.toMatchObject({
      code: 'MR_STORE_DATA',
      message: expect.stringContaining(`the document ${document} of the store is written in schema 2`),
    })
    expect([edits, noteOf(document)]).toEqual([0, [2]])
  })

  test('no decision of an operator does', async () => {
    const { deps, noteOf } = bench()
    await deps.store.put('overrides', value, null, 'newer', second)
    const overrides = new StoreOverrides(deps)
    const drain = { service: 'a', backend: 'http://127.0.0.1:1', reason: 'x', actor: 'ann', since: '' }
    const change = { edit: (now: Parameters<typeof withDrain>[0]) => withDrain(now, drain) }
    await expect(overrides.change({ ...change, by: 'ann', message: 'x' })).rejects.toMatchObject({
      code: 'MR_STORE_DATA',
    })
    await expect(overrides.read()).rejects.toMatchObject({ code: 'MR_STORE_DATA' })
    expect(noteOf('overrides')).toEqual([2])
  })

  test("a node's own record is replaced as a whole: it tells what runs now", async () => {
    const { world, node } = await following()
    const head = world.data.documents.get('node/lb-0')?.history[0].revision ?? null
    const newer = Buffer.from('{"config":{"form":"new"},"future":1}')
    await world.data.client().put('node/lb-0', newer, head, 'newer', second)
    await world.put({ n: 2 })
    await world.pass(400)
    expect(node.record).toMatchObject({ id: 'lb-0', config: { applied: { number: 2 } } })
    expect(node.record).not.toHaveProperty('future')
    expect(node.record?.config).not.toHaveProperty('form')
  })
})
