import type { Clock, HealthContext, HealthResult, Log, Metrics, ThreadContext, Timer } from 'millrace'

/** mulberry32: a seeded uniform source, so that a failing test fails again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x100000000
  }
}

interface Planned {
  at: number
  readonly every: number
  readonly run: () => void
}

/** Time that moves only when it is told to. `monotonic` of two threads may differ, as it does between workers. */
export class FakeTime {
  private elapsed = 0
  private readonly planned = new Set<Planned>()

  /** A thread's clock; `origin` is what its monotonic clock shows at the start. */
  clock(origin = 0): Clock {
    return {
      now: () => origin + this.elapsed,
      wall: () => 1_750_000_000_000 + this.elapsed,
      after: (ms, run) => this.plan(ms, 0, run),
      every: (ms, run) => this.plan(ms, ms, run),
    }
  }

  /** Timers that are due run in order of their time. */
  advance(ms: number): void {
    const end = this.elapsed + ms
    for (;;) {
      const due = [...this.planned].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.elapsed = Math.max(this.elapsed, due.at)
      if (due.every > 0) due.at += due.every
      else this.planned.delete(due)
      due.run()
    }
    this.elapsed = end
  }

  get timers(): number {
    return this.planned.size
  }

  private plan(ms: number, every: number, run: () => void): Timer {
    const entry = { at: this.elapsed + ms, every, run }
    this.planned.add(entry)
    return { cancel: () => this.planned.delete(entry) }
  }
}

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
