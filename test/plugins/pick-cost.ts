/** Run by node itself: prints nanoseconds and bytes per pick or settle as JSON. Bytes are what the test
 * looks at; the times are for people, as they depend on the machine. */
import type { Algorithm, Backend } from 'millrace'
import { PickInput, TableView, timerless } from '../../bench/micro/stand-ins.ts'
import { builtins } from '../../plugins/manifest.ts'
import { bytesPerCall } from '../conformance/allocation.ts'
import { seeded, threadContext } from './fake-context.ts'
import { numbered } from './fake-view.ts'

interface Cost {
  readonly ns: number
  readonly bytes: number
}

async function measure(run: (index: number) => unknown): Promise<Cost> {
  const bytes = await bytesPerCall(run)
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
  const request = new PickInput(seeded(7))
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
        const algorithm = await plugin.create(threadContext({ clock: timerless }), parsed.value)
        const view = new TableView(backends, backends, plugin.buildTable?.(backends, parsed.value))
        algorithm.update(view)
        for (const backend of backends) algorithm.settled?.(backend, 'success', 1 + (backend.slot % 7))
        const name = `${plugin.name} ${count}${excluding ? ' excluding' : ''}`
        costs[name] = await algorithmCost(algorithm, backends, excluding)
        if (algorithm.settled && !excluding)
          costs[`${plugin.name} ${count} settled`] = await measure((index) =>
            algorithm.settled?.(backends[index % count], 'success', index & 7),
          )
      }
    }
  }
  if (plugin.kind === 'circuit-breaker') {
    const parsed = await plugin.options['~standard'].validate({})
    if (parsed.issues) throw new Error(plugin.name)
    const breaker = await plugin.create(threadContext({ clock: timerless, threads: 4 }), parsed.value)
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
