/** One of several threads that fight over one breaker; see race.test.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import { threadContext } from '../fake-context.ts'
import { numbered } from '../fake-view.ts'
import { breaker } from '../make.ts'
import { settle } from './threads.ts'

export interface Race {
  readonly name: string
  readonly options: unknown
  readonly thread: number
  readonly threads: number
  readonly rounds: number
  /** By the name that the plugin asks for it under. */
  readonly memory: Map<string, Uint8Array<SharedArrayBuffer>>
  /** [0] arrivals at barriers, [1] ms on the clock of all, [2] permits given, [3] changes of state. */
  readonly control: Int32Array
}

/** What thread 0 saw in each round. */
export interface RaceResult {
  readonly granted: number[]
  readonly changes: number[]
}

const { name, options, thread, threads, rounds, memory, control } = workerData as Race

const clock = {
  now: () => Atomics.load(control, 1) + thread * 1000,
  wall: () => 1_750_000_000_000 + Atomics.load(control, 1),
  after: () => ({ cancel() {} }),
  every: () => ({ cancel() {} }),
}

let barriers = 0
/** Spins, so that all leave at the same moment; sleeps where a thread has no core. */
function meet(): void {
  const all = ++barriers * threads
  if (Atomics.add(control, 0, 1) + 1 === all) Atomics.notify(control, 0)
  for (let spins = 0; ; spins++) {
    const arrived = Atomics.load(control, 0)
    if (arrived >= all) return
    if (spins > 20_000) Atomics.wait(control, 0, arrived, 1)
  }
}

const context = threadContext({ clock, thread, threads, memory })
const instance = await breaker(name, options, context)
const gate = instance.for(numbered(1)[0], () => Atomics.add(control, 3, 1))
const result: RaceResult = { granted: [], changes: [] }
for (let round = 0; round < rounds; round++) {
  if (thread === 0) {
    // Half-open with its permits lost, but for the first round: close it, open it, let its time go by.
    Atomics.add(control, 1, 1000)
    settle(gate, 'success', 5)
    settle(gate, 'failure', 5)
    Atomics.add(control, 1, 1000)
    Atomics.store(control, 2, 0)
    Atomics.store(control, 3, 0)
  }
  meet()
  for (let i = 0; i < 10; i++) if (gate.tryAcquire() > 0) Atomics.add(control, 2, 1)
  meet()
  if (thread === 0) {
    result.granted.push(Atomics.load(control, 2))
    result.changes.push(Atomics.load(control, 3))
  }
}
parentPort?.postMessage(result)
