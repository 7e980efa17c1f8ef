import { expect, test } from 'vitest'
import { pluginBench } from './fixtures/plugin-bench.ts'

test('a data thread has a young generation of 16 MiB in three parts, whatever the size of the machine', async () => {
  const source = `
import { resourceLimits } from 'node:worker_threads'
import { definePlugin, z } from 'millrace'
export default definePlugin({
  api: 1, kind: 'filter', name: 'stamp', options: z.strictObject({}),
  create: () => ({
    onRequest(exchange) { exchange.respond({ status: 200, body: JSON.stringify(resourceLimits) }) },
  }),
})`
  const bench = await pluginBench({ files: { 'stamp.ts': source } })
  const answer = await fetch(`http://127.0.0.1:${bench.server.listeners[0].port}/`)
  expect(await answer.json()).toMatchObject({ maxYoungGenerationSizeMb: 48 })
})
