import { expect, test } from 'vitest'
import type { ThreadSnapshot } from '../../core/proxy/thread-snapshot.ts'
import type { FromThread, ThreadData } from '../../core/threads/messages.ts'
import { ThreadLink } from '../../core/threads/thread-link.ts'
import { release } from '../harness/cleanup.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { until } from '../harness/until.ts'
import { configOf, pool } from './fixtures/configs.ts'

test('a config that is dropped while its parts are on their way is not prepared any more', async () => {
  const heard: string[] = []
  const nothing = (): void => {}
  const link = new ThreadLink(
    new URL('./fixtures/holding-thread.ts', import.meta.url),
    { thread: 0 } as ThreadData,
    new FakeClock(),
    {
      message: (_, message: FromThread) => message.type === 'log' && heard.push(message.message),
      error: nothing,
      exit: nothing,
    },
  )
  release({}, () => link.kill())
  const { snapshot } = await configOf({ services: { app: pool(900) } })
  const placement = { index: 0, slots: [], table: undefined }
  const services = new Map([['app', { config: snapshot.services.app, placement }]])
  const target = {
    snapshot: { ...snapshot, revision: 1, ports: {}, services } as ThreadSnapshot,
    code: { plugins: [], version: '1' },
  }
  const prepared = link.prepare(7, target, 1000)
  await until('the first part is there', () => heard.length === 1)
  expect(await link.discard(7, 1000)).toBe(true)
  expect(await prepared).toEqual({ type: 'late' })
  link.send({ type: 'drain' })
  await until('all is heard', () => heard.at(-1) === 'drain')
  expect(heard).toEqual(['part', 'discard', 'drain'])
})
