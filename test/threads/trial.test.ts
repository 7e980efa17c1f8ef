import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../core/config/load.ts'
import { loadEach } from '../../core/host/loader.ts'
import { CodeRoom } from '../../core/threads/code-room.ts'
import { type Trial, tryUses } from '../../core/threads/trial.ts'
import { builtins } from '../../plugins/manifest.ts'

const builtinsUrl = new URL('../../plugins/manifest.ts', import.meta.url)

test('a create that never comes to its end is told once, and the uses of other plugins are tried', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  writeFileSync(
    join(directory, 'loop.ts'),
    `import { definePlugin, z } from 'millrace'
     export default definePlugin({ api: 1, kind: 'filter', name: 'loop', options: z.looseObject({}), create() { for (;;); } })`,
  )
  const room = new CodeRoom(undefined, 3000)
  onTestFinished(() => room.close())
  const source = { specifier: './loop.ts', kind: 'path', location: join(directory, 'loop.ts') } as const
  const { registry } = await loadEach([source], builtins, (plugin) => room.load(plugin))
  const text = JSON.stringify({
    listeners: { web: { address: '127.0.0.1:0' } },
    filters: ['loop', { use: 'loop', id: 'again' }, { use: 'basic-auth', file: './nowhere' }],
    routes: [{ service: 'a' }],
    services: { a: { backends: [] } },
  })
  const config = await loadConfig(
    { text, name: 'lb.json', directory },
    { env: {}, plugins: registry.catalog() },
  )
  const asked: Trial[] = []
  const counted = {
    try(trial: Trial) {
      asked.push(trial)
      return room.try(trial)
    },
  }
  const problems = await tryUses({ config, registry }, counted, builtinsUrl)
  expect(problems.map(({ code, path }) => `${code} ${path}`)).toEqual([
    'MR_PLUGIN_TIMEOUT filters[0]',
    'MR_PLUGIN_CREATE filters[2]',
  ])
  expect(asked.map(({ id }) => id)).toEqual([
    'filter/loop',
    'filter/basic-auth',
    'service/a/algorithm',
    'service/a/breaker',
  ])
})
