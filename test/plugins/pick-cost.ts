/** Run by node itself with --expose-gc: prints nanoseconds and bytes per pick or settle as JSON. Bytes are what the test
 * looks at; the times are for people, as they depend on the machine. */
import { setTimeout as later } from 'node:timers/promises'
import type { Algorithm, Backend } from 'millrace'
import { builtins } from '../../plugins/manifest.ts'
import { seeded, threadContext } from './fake-context.ts'
import { FakeView, numbered } from './fake-view.ts'

interface Cost {
  readonly ns: number
  readonly bytes: number
}

/** The smallest object of V8. */
const bytesPerObject = 16

/** As the data thread's: plain fields, no closures. */
class Request {
  /** Read only by algorithms that hash: half of them are beyond int32, and interpreted code boxes those. */
  readonly hashes: Uint32Array
  at = 0
  out: Backend | undefined = undefined
  constructor(random: () => number) {
    this.hashes = Uint32Array.from({ length: 1024 }, () => Math.floor(random() * 2 ** 32))
  }
  get hash(): number {
    return this.hashes[this.at & 1023]
  }
  excluded(backend: Backend): boolean {
    return backend === this.out
  }
}

/** In-flight counts as the shared table's: one typed row for each of two threads. */
class TableView extends FakeView {
  private readonly rows = [new Int32Array(2048), new Int32Array(2048).map((_, slot) => slot % 3)]

  override inFlight(backend: Backend): number {
    let sum = 0
    for (let thread = 0; thread < this.rows.length; thread++) sum += this.rows[thread][backend.slot]
    return sum
  }
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
}

/** Bytes a call, the median of five rounds. */
function bytesPerCall(run: (index: number) => void): number {
  const bytes: number[] = []
  for (let round = 0; round < 5; round++) {
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 5000; i++) run(i)
    bytes.push((process.memoryUsage().heapUsed - before) / 5000)
  }
  return bytes.sort((a, b) => a - b)[2]
}

async function measure(run: (index: number) => void): Promise<Cost> {
  let bytes = Number.POSITIVE_INFINITY
  // Optimised code comes from another thread, on a busy machine late, and may be thrown away: until then it is the
  // interpreter that allocates. Who allocates by itself does so in every try.
  for (let tries = 0; tries < 5 && bytes >= bytesPerObject / 2; tries++) {
    for (let warmUps = 0; warmUps < 2; warmUps++) {
      for (let i = 0; i < 200_000; i++) run(i)
      await later(10)
    }
    bytes = Math.min(bytes, bytesPerCall(run))
  }
  const timed = process.argv.includes('--bytes') ? 0 : 1_000_000
  const started = performance.now()
  for (let i = 0; i < timed; i++) run(i)
  const ns = ((performance.now() - started) * 1e6) / Math.max(1, timed)
  return { ns: Math.round(ns * 10) / 10, bytes: Math.round(bytes * 10) / 10 }
}

async function algorithmCost(
  algorithm: Algorithm,
  backends: readonly Backend[],
  excluding: boolean,
): Promise<Cost> {
  const request = new Request(seeded(7))
  return measure((index) => {
    request.at = index
    request.out = excluding ? backends[index % backends.length] : undefined
    algorithm.pick(request)
  })
}

const costs: Record<string, Cost> = {}
for (const plugin of builtins) {
  if (plugin.kind === 'algorithm') {
    const parsed = await plugin.options['~standard'].validate({})
    if (parsed.issues) throw new Error(plugin.name)
    for (const count of [4, 64, 1000]) {
      for (const excluding of [false, true]) {
        const backends = numbered(count, (index) => 1 + (index % 3))
        const algorithm = await plugin.create(threadContext(), parsed.value)
        const view = new TableView(backends, backends, plugin.buildTable?.(backends, parsed.value))
        algorithm.update(view)
        const name = `${plugin.name} ${count}${excluding ? ' excluding' : ''}`
        costs[name] = await algorithmCost(algorithm, backends, excluding)
      }
    }
  }
  if (plugin.kind === 'circuit-breaker') {
    const parsed = await plugin.options['~standard'].validate({})
    if (parsed.issues) throw new Error(plugin.name)
    const clock = {
      now: () => performance.now(),
      wall: () => Date.now(),
      after: () => ({ cancel() {} }),
      every: () => ({ cancel() {} }),
    }
    const breaker = await plugin.create(threadContext({ clock, threads: 4 }), parsed.value)
    const [good, mixed, open] = numbered(3).map((backend) => breaker.for(backend, () => {}))
    costs[`${plugin.name} success`] = await measure(() => good.settle(good.tryAcquire(), 'success', 1))
    // Under the threshold, so that it stays closed.
    costs[`${plugin.name} one failure in 4`] = await measure((index) =>
      mixed.settle(mixed.tryAcquire(), index % 4 === 0 ? 'failure' : 'success', 1),
    )
    for (let i = 0; i < 100; i++) open.settle(open.tryAcquire(), 'failure', 1)
    costs[`${plugin.name} open`] = await measure(() => open.tryAcquire())
  }
}
process.stdout.write(`${JSON.stringify(costs)}\n`)
