/** Redis with Sentinels: store and sync follow a failover by themselves. */
import type { Revision } from 'millrace'
import { expect, onTestFinished, test, vi } from 'vitest'
import { settled } from '../harness/redis-replication.ts'
import { startSentinels } from '../harness/redis-sentinel.ts'
import { makeStore, makeSync, note, settle, write, writeId } from '../harness/redis-store.ts'
import { until } from '../harness/until.ts'

test('a master dies under writes: store and sync go to the promoted replica, and what `wait` made sure of is there', {
  timeout: 60_000,
}, async () => {
  const { master, replicas, sentinels, name } = await startSentinels()
  const options = { sentinels, name, timeout: '2s' }
  const { store } = await makeStore({ ...options, wait: { replicas: 1, timeout: '500ms' } })
  const reader = await makeStore(options)
  const key = { fleetKeys: ['secret'] }
  const [a, b] = [await makeSync(options, { ...key, id: 'a' }), await makeSync(options, { ...key, id: 'b' })]
  await until('both are up', () => [a, b].every(({ states }) => states.at(-1) === 'up'))
  let head: Revision | null = null
  const acknowledged: Revision[] = []
  for (let n = 1; n <= 20; n++) {
    head = await write(store, 'config', `v${n}`, head)
    acknowledged.push(head)
  }
  await master.kill()
  await replicas[0].command('ping')
  // The promoted one has no replica, so nothing that waits for one is committed there.
  const alone = await makeStore(options)
  const id = writeId()
  const after = await settle(() => alone.store.put('config', Buffer.from('after'), head, id, note))
  expect(after).toMatchObject({ status: 'committed', revision: { number: 21, parent: head?.id } })
  const history = await reader.store.history('config')
  expect(history.map(({ revision }) => revision.id).slice(1)).toEqual(
    acknowledged.toReversed().map((one) => one.id),
  )
  await until(
    'both have lost it and are up again',
    () => [a, b].every(({ states }) => states.includes('down') && states.at(-1) === 'up'),
    { timeoutMs: 30_000 },
  )
  await a.sync.announce?.('config', { number: 21, id })
  await until('b has heard', () => b.hints.some(([, revision]) => revision?.id === id))
})

test('a Sentinel that is away: the others are listened to, and nothing is written to standard error', async () => {
  const { sentinels, watchers, name } = await startSentinels()
  const said = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => said.mockRestore())
  await watchers[2].kill()
  const { store } = await makeStore({ sentinels, name, timeout: '2s' })
  expect(await store.get('config')).toBe(null)
  for (const watcher of watchers.slice(0, 2))
    await settled(async () => / sub=1 /.test(String(await watcher.command('client', 'list'))))
  expect(said.mock.calls).toEqual([])
})

test('no Sentinel answers: unavailable, and each call comes to its end', async () => {
  const { store } = await makeStore({ sentinels: ['127.0.0.1:1'], name: 'millrace', timeout: '500ms' })
  await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  await expect(store.put('config', Buffer.from('x'), null, writeId(), note)).rejects.toMatchObject({
    code: 'MR_STORE_UNAVAILABLE',
    message: expect.stringContaining('sentinels'),
  })
})
