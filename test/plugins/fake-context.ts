import type { Clock, HealthContext, HealthResult, Log, Metrics, ThreadContext } from 'millrace'
import { FakeTime, seeded } from '../conformance/time.ts'

export { FakeTime, seeded }

const log: Log = { debug() {}, info() {}, warn() {}, error() {} }
const metrics: Metrics = { counter: () => ({ add() {} }), gauge: () => ({ set() {} }) }

function base(clock: Clock, seed: number) {
  return {
    id: 'service/test/plugin',
    log,
    clock,
    random: seeded(seed),
    metrics,
    signal: new AbortController().signal,
  }
}

export interface ThreadShape {
  readonly seed?: number
  readonly clock?: Clock
  readonly thread?: number
  readonly threads?: number
  /** Memory by name; give the same map to the contexts of several threads. */
  readonly memory?: Map<string, Uint8Array<SharedArrayBuffer>>
}

export function threadContext(shape: ThreadShape = {}): ThreadContext {
  const memory = shape.memory ?? new Map<string, Uint8Array<SharedArrayBuffer>>()
  return {
    ...base(shape.clock ?? new FakeTime().clock(), shape.seed ?? 1),
    thread: shape.thread ?? 0,
    threads: shape.threads ?? 1,
    defer() {},
    shared(name, bytes) {
      const length = (bytes + 7) & ~7
      const found = memory.get(name) ?? new Uint8Array(new SharedArrayBuffer(length))
      if (found.byteLength !== length) throw new Error(`MR_SHARED_SIZE ${name}`)
      memory.set(name, found)
      return found
    },
  }
}

export interface Report extends HealthResult {
  readonly id: string
  readonly authoritative: boolean
}

export interface FakeHealthHost {
  readonly context: HealthContext
  readonly reports: Report[]
  /** Runs what was deferred, in reverse order. */
  stop(): Promise<void>
}

export function healthHost(shape: {
  clock: Clock
  intervalMs?: number
  timeoutMs?: number
  seed?: number
}): FakeHealthHost {
  const reports: Report[] = []
  const releases: (() => void | PromiseLike<void>)[] = []
  const context: HealthContext = {
    ...base(shape.clock, shape.seed ?? 1),
    intervalMs: shape.intervalMs ?? 1000,
    timeoutMs: shape.timeoutMs ?? 500,
    store: undefined,
    defer: (release) => releases.push(release),
    report: (id, result) => reports.push({ id, ...result, authoritative: false }),
    set: (id, result) => reports.push({ id, ...result, authoritative: true }),
  }
  const stop = async (): Promise<void> => {
    for (const release of releases.splice(0).reverse()) await release()
  }
  return { context, reports, stop }
}
