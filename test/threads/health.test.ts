import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { HealthContext, HealthTarget } from '../../core/contracts/health-source.ts'
import { definePlugin, type Metrics } from '../../core/contracts/plugin.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import type { PlacedService } from '../../core/proxy/thread-snapshot.ts'
import { HealthRunner } from '../../core/threads/health.ts'
import { StallWatch } from '../../core/threads/stall-watch.ts'
import { health, SharedTable } from '../../core/threads/table.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { until } from '../harness/until.ts'
import { configOf, pool } from './fixtures/configs.ts'
import { type LogLine, testLog } from './fixtures/server.ts'

interface Source {
  readonly context: HealthContext
  readonly updates: (readonly HealthTarget[])[]
  stopped: boolean
}

const metrics: Metrics = { counter: () => ({ add() {} }), gauge: () => ({ set() {} }) }

class Bench {
  readonly clock = new FakeClock()
  readonly table = SharedTable.create({ threads: 1, slots: 16, services: 4 })
  readonly sources: Source[] = []
  readonly log: LogLine[]
  readonly runner: HealthRunner
  readonly registry = new PluginRegistry()
  readonly #slots = new Map<string, number>()

  constructor() {
    const { lines, log } = testLog()
    this.log = lines
    const sources = this.sources
    const probe = definePlugin({
      api: 1,
      kind: 'health-source',
      name: 'probe',
      options: z.strictObject({ path: z.string().default('/'), broken: z.boolean().default(false) }),
      create(context, options) {
        if (options.broken) throw new Error('told to break')
        const source: Source = { context, updates: [], stopped: false }
        sources.push(source)
        context.defer(() => {
          source.stopped = true
        })
        return { update: (targets) => void source.updates.push(targets) }
      },
    })
    this.registry.add(builtIn(probe))
    const { clock, table } = this
    const stalls = new StallWatch(clock)
    const deps = { clock, random: () => 0.5, log, table, stalls, metrics: () => metrics, enabled: true }
    this.runner = new HealthRunner(deps)
    onTestFinished(() => this.runner.stop())
  }

  /** Applies services; each backend keeps the slot that its service and URL were given first. */
  async apply(services: Record<string, unknown>): Promise<void> {
    const { snapshot } = await configOf({ services })
    const fresh = new Set<number>()
    const placed = new Map<string, PlacedService>()
    for (const config of Object.values(snapshot.services)) {
      const slots = config.backends.map(({ url }) => {
        const id = `${config.name}/${url}`
        const slot = this.#slots.get(id) ?? this.#slots.size
        if (!this.#slots.has(id)) fresh.add(slot)
        this.#slots.set(id, slot)
        return slot
      })
      placed.set(config.name, { config, placement: { index: 0, slots, table: undefined } })
    }
    const prepared = await this.runner.prepare(placed, this.registry)
    this.runner.place(prepared, fresh)
    this.runner.commit(prepared)
  }

  /** One result for the first backend of `app`. */
  report(...ups: boolean[]): void {
    for (const up of ups)
      this.sources.at(-1)?.context.report('app/http://127.0.0.1:10000', { up, reason: `up ${up}` })
  }

  get cell(): number {
    return this.table.health[0]
  }

  get epoch(): number {
    return this.table.epoch[0]
  }
}

const watched = (health: Record<string, unknown> = {}, backends = 1): Record<string, unknown> => ({
  app: pool(backends, { health: { use: 'probe', rise: 2, fall: 3, ...health } }),
})

describe('HealthRunner', () => {
  test('a backend is available before the first result, and down after `fall` bad ones in a row', async () => {
    const bench = new Bench()
    await bench.apply(watched())
    expect(bench.cell).toBe(health.unknown)
    bench.report(false, false)
    expect(bench.cell).toBe(health.unknown)
    bench.report(true)
    expect(bench.cell).toBe(health.up)
    const { epoch } = bench
    bench.report(false, false, true, false, false)
    expect([bench.cell, bench.epoch]).toEqual([health.up, epoch])
    bench.report(false)
    expect([bench.cell, bench.epoch]).toEqual([health.down, epoch + 1])
    expect(bench.log.at(-1)).toMatchObject({ level: 'warn', fields: { service: 'app', reason: 'up false' } })
    bench.report(true)
    expect(bench.cell).toBe(health.down)
    bench.report(true)
    expect(bench.cell).toBe(health.up)
  })

  test('`initial: down` waits for `rise` good results', async () => {
    const bench = new Bench()
    await bench.apply(watched({ initial: 'down' }))
    expect(bench.cell).toBe(health.down)
    bench.report(true)
    expect(bench.cell).toBe(health.down)
    bench.report(true)
    expect(bench.cell).toBe(health.up)
  })

  test('a backend that served without a health source stays available when one is added', async () => {
    const bench = new Bench()
    await bench.apply({ app: pool() })
    await bench.apply(watched({ initial: 'down' }))
    expect(bench.cell).toBe(health.unknown)
  })

  test('authoritative results count at once', async () => {
    const bench = new Bench()
    await bench.apply(watched())
    bench.sources[0].context.set('app/http://127.0.0.1:10000', { up: false })
    expect(bench.cell).toBe(health.down)
    bench.sources[0].context.set('app/http://127.0.0.1:10000', { up: true })
    expect(bench.cell).toBe(health.up)
  })

  test('an unchanged service keeps its instance and state; changed backends are told to it', async () => {
    const bench = new Bench()
    await bench.apply(watched())
    bench.report(false, false, false)
    await bench.apply(watched({ rise: 1, fall: 1 }))
    expect(bench.sources).toHaveLength(1)
    expect(bench.sources[0].updates).toHaveLength(1)
    expect(bench.cell).toBe(health.down)
    await bench.apply(watched({ rise: 1, fall: 1 }, 2))
    expect(bench.sources).toHaveLength(1)
    expect(bench.sources[0].updates.map((targets) => targets.length)).toEqual([1, 2])
    expect(bench.cell).toBe(health.down)
    bench.report(true)
    expect(bench.cell).toBe(health.up)
  })

  test('other options make another instance; what is known stays, and the old one is not heard', async () => {
    const bench = new Bench()
    await bench.apply(watched())
    bench.report(false, false, false)
    await bench.apply(watched({ path: '/other' }))
    await until('the old instance has stopped', () => bench.sources[0].stopped)
    expect(bench.sources).toHaveLength(2)
    expect(bench.cell).toBe(health.down)
    bench.sources[0].context.set('app/http://127.0.0.1:10000', { up: true })
    expect(bench.cell).toBe(health.down)
    bench.report(true, true)
    expect(bench.cell).toBe(health.up)
  })

  test('without a health source the backends of a service are unknown again', async () => {
    const bench = new Bench()
    await bench.apply(watched())
    bench.report(false, false, false)
    const { epoch } = bench
    await bench.apply({ app: pool() })
    expect(bench.cell).toBe(health.unknown)
    expect(bench.epoch).toBe(epoch + 1)
    await until('the instance has stopped', () => bench.sources[0].stopped)
  })

  test('an instance that cannot be made leaves nothing behind', async () => {
    const bench = new Bench()
    const bad = { ...watched(), bad: pool(1, { health: { use: 'probe', broken: true } }) }
    await expect(bench.apply(bad)).rejects.toMatchObject({ code: 'MR_PLUGIN_CREATE' })
    expect(bench.sources.map(({ stopped }) => stopped)).toEqual([true])
  })

  test('results of a stalled event loop are dropped, those after it count', async () => {
    const bench = new Bench()
    await bench.apply(watched({ fall: 1 }))
    bench.clock.advance(300)
    bench.report(true)
    bench.clock.stall(1500)
    bench.report(false)
    expect(bench.cell).toBe(health.up)
    bench.clock.advance(200)
    bench.report(false)
    expect(bench.cell).toBe(health.down)
  })

  test('an overdue timer that runs before the watch sees the stall too', async () => {
    const clock = new FakeClock()
    const stalls = new StallWatch(clock)
    clock.advance(250)
    let seen: boolean | undefined
    const first = clock.after(0, () => {
      seen = stalls.recent()
    })
    clock.stall(1500)
    first.cancel()
    expect(seen).toBe(true)
    expect(stalls.stalls).toMatchObject({ count: 1 })
    stalls.stop()
    expect(clock.pending).toBe(0)
  })
})
