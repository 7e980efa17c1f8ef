import type { Backend, BreakerGate, CircuitBreaker } from 'millrace'
import { FakeTime, threadContext } from '../fake-context.ts'
import { numbered } from '../fake-view.ts'
import { breaker, builtin, parsed } from '../make.ts'

/** The breaker of one backend as several data threads see it: one instance each, with clocks of different origin. */
export interface BreakerThreads {
  readonly time: FakeTime
  readonly gates: readonly BreakerGate[]
  readonly instances: readonly CircuitBreaker[]
  readonly backend: Backend
  /** How often each thread was told of a change. */
  readonly changes: number[]
  /** New options in every thread, as the host hands them on. */
  reconfigure(options: unknown): void
}

export async function breakerThreads(
  name: string,
  options: unknown = {},
  threads = 2,
): Promise<BreakerThreads> {
  const time = new FakeTime()
  const memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  const changes = Array.from({ length: threads }, () => 0)
  const [backend] = numbered(1)
  const instances: CircuitBreaker[] = []
  const gates: BreakerGate[] = []
  for (let thread = 0; thread < threads; thread++) {
    const clock = time.clock(1000 + thread * 54_321.7)
    const instance = await breaker(name, options, threadContext({ clock, thread, threads, memory }))
    instances.push(instance)
    gates.push(instance.for(backend, () => changes[thread]++))
  }
  const reconfigure = (next: unknown): void => {
    for (const instance of instances)
      instance.reconfigure?.(parsed(builtin('circuit-breaker', name), next) as never)
  }
  return { time, backend, gates, instances, changes, reconfigure }
}

/** So many tries that all end the same; how many were let through. */
export function settle(gate: BreakerGate, outcome: 'success' | 'failure' | 'cancelled', times = 1): number {
  let passed = 0
  for (let i = 0; i < times; i++) {
    const token = gate.tryAcquire()
    if (token === 0) continue
    gate.settle(token, outcome, 1)
    passed++
  }
  return passed
}
