/** One of several threads that fight over one breaker; see race.test.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import { threadContext } from '../fake-context.ts'
import { numbered } from '../fake-view.ts'
import { breaker } from '../make.ts'

export interface Race {
  readonly name: string
  readonly options: unknown
  readonly thread: number
  readonly threads: number
  readonly memory: Uint8Array<SharedArrayBuffer>
  /** [0] rounds begun, [1] threads done with the round, [2] ms on the clock of all, [3] 1 = end */
  readonly control: Int32Array
}

const { name, options, thread, threads, memory, control } = workerData as Race

const clock = {
  now: () => Atomics.load(control, 2) + thread * 1000,
  wall: () => 1_750_000_000_000 + Atomics.load(control, 2),
  after: () => ({ cancel() {} }),
  every: () => ({ cancel() {} }),
}
const [backend] = numbered(1)
let changes = 0
const context = threadContext({ clock, thread, threads, memory: new Map([[backend.id, memory]]) })
const instance = await breaker(name, options, context)
const gate = instance.for(backend, () => changes++)
for (let round = 1; ; round++) {
  while (Atomics.load(control, 0) < round) Atomics.wait(control, 0, round - 1)
  if (Atomics.load(control, 3) === 1) break
  const tokens = Array.from({ length: 20 }, () => gate.tryAcquire()).filter((token) => token > 0)
  parentPort?.postMessage({ granted: tokens.length, changes })
  changes = 0
  Atomics.add(control, 1, 1)
  Atomics.notify(control, 1)
}
