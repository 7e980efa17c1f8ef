import { expect, test } from 'vitest'
import { FakeTime, healthHost } from '../fake-context.ts'
import { builtin, parsed } from '../make.ts'

test('everybody is up at once but those named as down, however their URL is written', async () => {
  const host = healthHost({ clock: new FakeTime().clock() })
  const plugin = builtin('health-source', 'static')
  const source = await plugin.create(
    host.context,
    parsed(plugin, { down: ['HTTP://LOCALHOST:81/', 'unix:/b'] }) as never,
  )
  const urls = ['http://localhost:80', 'http://localhost:81', 'unix:/a', 'unix:/b']
  source.update(
    urls.map((url) => ({ id: url, service: 'api', url, weight: 1, zone: '', tags: [], tls: undefined })),
  )
  expect(host.reports.map(({ id, up, authoritative }) => [id, up, authoritative])).toEqual([
    ['http://localhost:80', true, true],
    ['http://localhost:81', false, true],
    ['unix:/a', true, true],
    ['unix:/b', false, true],
  ])
})
