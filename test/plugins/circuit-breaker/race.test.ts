import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { FakeTime, threadContext } from '../fake-context.ts'
import { numbered } from '../fake-view.ts'
import { breaker } from '../make.ts'
import type { Race } from './race-worker.ts'
import { settle } from './threads.ts'

const threads = 3
const rounds = 200

test.each([
  'error-rate',
  'consecutive-errors',
])('%s: threads that ask at the same moment get no permit too many, and one of them makes the change', async (name) => {
  const options = { open: '1s', permits: 5, ...(name === 'error-rate' ? { minRequests: 5 } : { errors: 5 }) }
  const memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  const control = new Int32Array(new SharedArrayBuffer(16))
  const [backend] = numbered(1)
  const time = new FakeTime()
  const clock = {
    ...time.clock(),
    now: () => Atomics.load(control, 2),
    wall: () => 1_750_000_000_000 + Atomics.load(control, 2),
  }
  const own = await breaker(
    name,
    options,
    threadContext({ clock, thread: threads, threads: threads + 1, memory }),
  )
  const gate = own.for(backend, () => {})
  const seen: { granted: number; changes: number }[] = []
  const workers = Array.from({ length: threads }, (_, thread) => {
    const race: Race = {
      name,
      options,
      thread,
      threads: threads + 1,
      memory: memory.get(backend.id) as Uint8Array<SharedArrayBuffer>,
      control,
    }
    const worker = new Worker(new URL('./race-worker.ts', import.meta.url), { workerData: race })
    worker.on('message', (message) => seen.push(message))
    return worker
  })
  const failed = Promise.race(
    workers.map((worker) => new Promise((_, reject) => worker.once('error', reject))),
  )
  failed.catch(() => {})
  onTestFinished(async () => {
    Atomics.store(control, 3, 1)
    Atomics.store(control, 0, rounds + 1)
    Atomics.notify(control, 0)
    await Promise.all(workers.map((worker) => worker.terminate()))
  })
  for (let round = 1; round <= rounds; round++) {
    // Closed by fresh successes, or half-open with permits taken: either way five failures open it.
    Atomics.add(control, 2, 1000)
    if (round > 1) settle(gate, 'success', 5)
    Atomics.add(control, 2, 10)
    settle(gate, 'failure', 5)
    expect(gate.state).toBe('open')
    Atomics.add(control, 2, 1000)
    seen.length = 0
    Atomics.store(control, 1, 0)
    Atomics.store(control, 0, round)
    Atomics.notify(control, 0)
    await Promise.race([failed, until(() => seen.length === threads)])
    expect(seen.reduce((sum, { granted }) => sum + granted, 0)).toBe(5)
    expect(seen.reduce((sum, { changes }) => sum + changes, 0)).toBe(1)
  }
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
