import { expect, test } from 'vitest'
import { heapLimits } from '../../core/threads/thread-link.ts'
import { pluginBench } from './fixtures/plugin-bench.ts'

const mebibyte = 1024 * 1024

test('a data thread has a young generation of three times 16 MiB, which V8 keeps to', async () => {
  const source = `
import { getHeapStatistics } from 'node:v8'
import { resourceLimits } from 'node:worker_threads'
import { definePlugin, z } from 'millrace'
export default definePlugin({
  api: 1, kind: 'filter', name: 'stamp', options: z.strictObject({}),
  create: () => ({
    onRequest(exchange) {
      const young = getHeapStatistics().heap_size_limit / ${mebibyte} - resourceLimits.maxOldGenerationSizeMb
      exchange.respond({ status: 200, body: JSON.stringify({ young }) })
    },
  }),
})`
  const bench = await pluginBench({ files: { 'stamp.ts': source } })
  const answer = await fetch(`http://127.0.0.1:${bench.server.listeners[0].port}/`)
  // This machine is taken to have 2 GiB.
  expect(await answer.json()).toEqual({ young: 48 })
})

test('a small machine keeps what Node chooses for it', () => {
  expect(heapLimits(1024 * mebibyte)).toEqual({})
  expect(heapLimits(2048 * mebibyte)).toEqual({ maxYoungGenerationSizeMb: 48 })
})
