import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { threadContext } from '../fake-context.ts'
import { numbered } from '../fake-view.ts'
import { breaker } from '../make.ts'
import type { Race, RaceResult } from './race-worker.ts'

const threads = 2
const rounds = 3000

test.each([
  ['error-rate', { open: '1s', permits: 5, minRequests: 5, threshold: '50%' }],
  ['consecutive-errors', { open: '1s', permits: 5, errors: 5 }],
])('%s: threads that ask at the same moment get no permit too many, and one makes each change', async (name, options) => {
  const memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  const first = await breaker(name, options, threadContext({ threads, memory }))
  first.for(numbered(1)[0], () => {})
  const control = new Int32Array(new SharedArrayBuffer(16))
  const workers = Array.from({ length: threads }, (_, thread) => {
    const workerData: Race = { name, options, thread, threads, rounds, memory, control }
    return new Worker(new URL('./race-worker.ts', import.meta.url), { workerData })
  })
  onTestFinished(async () => {
    await Promise.all(workers.map((worker) => worker.terminate()))
  })
  const [[result]] = (await Promise.all(workers.map((worker) => once(worker, 'message')))) as [RaceResult][]
  expect(result.granted.length).toBe(rounds)
  expect(result.granted.filter((granted) => granted !== 5)).toEqual([])
  expect(result.changes.filter((changes) => changes !== 1)).toEqual([])
})
