/** Writes whose outcome is not known at first, and edits that others overtake. */
import { expect, test } from 'vitest'
import { editDocument, putSettled, Turns } from '#core/config/sync/put'
import type { ConfigStore, PutResult } from '#core/contracts/index'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime } from '../../conformance/time.ts'

const value = (text: string) => Buffer.from(text)
const note = { by: 'test' }

function bench() {
  const time = new FakeTime()
  const data = new MemoryStore(time)
  const client = data.client()
  let ids = 0
  const deps = { store: client as ConfigStore, clock: time.clock(), newId: () => `id-${++ids}` }
  const history = () =>
    data.documents.get('d')?.history.map((one) => Buffer.from(one.value ?? []).toString()) ?? []
  return { time, data, client, deps, history }
}

test('an answer that was lost: the write is sent again, and takes effect once', async () => {
  const { time, client, deps, history } = bench()
  client.losesAnswer = true
  const writing = putSettled(deps, 'd', value('a'), null, note)
  await time.advanceAsync(1000)
  expect(await writing).toMatchObject({ status: 'committed', revision: { number: 1 } })
  expect(history()).toEqual(['a'])
})

test('a store that never says: unknown, in the end', async () => {
  const { time, deps } = bench()
  const unknown: PutResult = { status: 'unknown', cause: new Error('lost') }
  let sent = 0
  const store = {
    ...{ get: async () => null, leases: async () => [] },
    put: async () => {
      sent++
      return unknown
    },
  }
  const writing = editDocument({ ...deps, store }, 'd', () => ({ value: value('a'), note }))
  await time.advanceAsync(10_000)
  expect(await writing).toMatchObject({ status: 'unknown' })
  expect(sent).toBeGreaterThan(1)
})

test('a store that refuses from the first throws; one that is gone after the first does not say that nothing was written', async () => {
  const { time, client, deps } = bench()
  client.cut = true
  await expect(putSettled(deps, 'd', value('a'), null, note)).rejects.toMatchObject({
    code: 'MR_STORE_UNAVAILABLE',
  })
  client.cut = false
  client.losesAnswer = true
  const writing = putSettled(deps, 'd', value('a'), null, note)
  await time.advanceAsync(10)
  client.cut = true
  await time.advanceAsync(10_000)
  expect((await writing).status).toBe('unknown')
})

test('an edit begins again on what others have written; with one try it tells of them', async () => {
  const { data, deps, history } = bench()
  const rival = data.client()
  let [rivals, writes] = [2, 0]
  const edit = async (head: Awaited<ReturnType<ConfigStore['get']>>) => {
    if (rivals-- > 0)
      await rival.put('d', value(`rival ${rivals}`), head?.revision ?? null, `rival-${++writes}`, note)
    return { value: value(`${Buffer.from(head?.value ?? []).toString()}+`), note }
  }
  expect(await editDocument(deps, 'd', edit)).toMatchObject({ status: 'committed', revision: { number: 3 } })
  expect(history()).toEqual(['rival 0+', 'rival 0', 'rival 1'])
  rivals = 1
  expect(await editDocument(deps, 'd', edit, 1)).toMatchObject({
    status: 'conflict',
    before: { revision: { number: 3 } },
    head: { revision: { number: 4 } },
  })
  expect(await editDocument(deps, 'd', () => undefined)).toMatchObject({ status: 'unchanged' })
})

test('turns: one after the other, also where one fails; too many are refused', async () => {
  const turns = new Turns()
  const log: string[] = []
  let open = (): void => {}
  const first = turns.next(
    () =>
      new Promise<void>((resolve) => {
        open = resolve
      }),
  )
  const failing = turns.next(async () => {
    log.push('second')
    throw new Error('no')
  })
  const third = turns.next(async () => log.push('third'))
  const rest = Array.from({ length: 61 }, () => turns.next(async () => {}))
  await expect(turns.next(async () => {})).rejects.toMatchObject({ code: 'MR_OVERLOADED' })
  expect(log).toEqual([])
  open()
  await first
  await expect(failing).rejects.toThrow('no')
  await third
  await Promise.all(rest)
  expect(log).toEqual(['second', 'third'])
  await turns.next(async () => {})
})
