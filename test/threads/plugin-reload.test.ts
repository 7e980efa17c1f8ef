import { EventEmitter } from 'node:events'
import { Agent, request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { startReload } from '../../core/threads/reload.ts'
import { until } from '../harness/until.ts'
import { pluginBench, stampSource } from './fixtures/plugin-bench.ts'
import { testLog } from './fixtures/server.ts'

const labelled = (file: string): string =>
  `import { label } from './${file}'\n${stampSource('x').replace("'x'", 'label')}`
const label = (text: string): string => `export const label: string = '${text}'\n`

/** With the files watched as `millrace lb` does. */
async function watched(files: Readonly<Record<string, string>>) {
  const bench = await pluginBench({ files })
  const { lines, log } = testLog()
  const { config } = await bench.load()
  const reload = startReload({
    server: bench.server,
    config,
    load: bench.load,
    log,
    signals: new EventEmitter(),
  })
  onTestFinished(() => reload.stop())
  await reload.now('once, so that what plugins import is known')
  return { ...bench, reload, lines }
}

/** Settles when answers carry the stamp. */
async function serves(bench: Awaited<ReturnType<typeof watched>>, stamp: string): Promise<void> {
  const is = `applied with ${stamp}`
  let seen: unknown
  for (const from = performance.now(); seen !== stamp; ) {
    seen = (await bench.get()).stamp
    if (performance.now() - from > 10_000) throw new Error(`Timed out waiting until ${is}; it is ${seen}`)
  }
  expect(await bench.stamps()).toEqual([stamp])
}

test('a file that a plugin imports is watched, and one that it imports from now on', async () => {
  const bench = await watched({ 'stamp.ts': labelled('one.ts'), 'one.ts': label('a') })
  bench.write('one.ts', label('b'))
  await serves(bench, 'b')
  bench.write('two.ts', label('c'))
  bench.write('stamp.ts', labelled('two.ts'))
  await serves(bench, 'c')
  bench.write('two.ts', label('d'))
  await serves(bench, 'd')
})

test('code that does not load is tried again when the file that breaks it is mended', async () => {
  const bench = await watched({ 'stamp.ts': labelled('one.ts'), 'one.ts': label('a') })
  bench.write('broken.ts', 'export const label = {')
  bench.write('stamp.ts', labelled('broken.ts'))
  await until('it is refused', () => bench.lines.some(({ message }) => message.includes('the old one stays')))
  expect(await bench.stamps()).toEqual(['a'])
  bench.write('broken.ts', label('mended'))
  await serves(bench, 'mended')
})

test('reloads to and fro keep connections and shared memory as they were', async () => {
  const bench = await pluginBench({
    files: { 'stamp.ts': stampSource('0', "context.shared('seen', 64)") },
    config: { node: { threads: 1 } },
  })
  const agent = new Agent({ connections: 1 })
  onTestFinished(() => agent.close())
  let connects = 0
  agent.on('connect', () => connects++)
  const stamp = async (): Promise<unknown> => {
    const answer = await request(`http://127.0.0.1:${bench.server.listeners[0].port}/`, { dispatcher: agent })
    await answer.body.dump()
    return answer.headers['x-stamp']
  }
  const round = async (version: string): Promise<void> => {
    bench.write('stamp.ts', stampSource(version, "context.shared('seen', 64)"))
    expect(await bench.apply()).toMatchObject({ status: 'applied' })
    expect(await stamp()).toBe(version)
  }
  for (let i = 1; i <= 10; i++) await round(String(i % 2))
  await until('what was replaced is free', () => bench.server.usage.waiting === 0)
  const { arenaBytes, services, slots } = bench.server.usage
  for (let i = 1; i <= 100; i++) await round(String(i % 2))
  await until('what was replaced is free', () => bench.server.usage.waiting === 0)
  expect(bench.server.usage).toMatchObject({ services, slots })
  expect(bench.server.usage.arenaBytes - arenaBytes).toBeLessThanOrEqual(4096)
  expect(connects).toBe(1)
})
