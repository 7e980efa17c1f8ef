import { describe, expect, test } from 'vitest'
import type { Snapshot } from '../../core/config/snapshot.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import { sharedMemory } from '../../core/host/shared-memory.ts'
import { PluginMetrics } from '../../core/observe/plugin-metrics.ts'
import { memoryName, ownerOfKey } from '../../core/threads/shared-keys.ts'
import { SharedState } from '../../core/threads/shared-state.ts'
import errorRate from '../../plugins/circuit-breaker/error-rate.ts'
import headers from '../../plugins/filter/headers.ts'
import { configOf, pool } from './fixtures/configs.ts'

const plugin = builtIn(headers) as LoadedPlugin
const breaker = builtIn(errorRate) as LoadedPlugin

class Bench {
  readonly state = new SharedState(2)
  /** Version of the plugins' code. */
  hash = 'built-in'
  #revision = 0

  async serve(wanted: Record<string, unknown>): Promise<void> {
    const { snapshot } = await configOf(wanted)
    this.commit(snapshot)
  }

  plan(snapshot: Snapshot) {
    const find = () => ({ ...plugin, hash: this.hash }) as never
    return this.state.plan(snapshot, { find })
  }

  commit(snapshot: Snapshot): void {
    this.state.commit(this.plan(snapshot), ++this.#revision)
    this.state.release(this.#revision)
  }

  /** First byte of a use's memory, which is then set. */
  touch(id: string, slot?: number): number {
    const backend = slot === undefined ? undefined : { slot }
    const loaded = { ...(id.endsWith('breaker') ? breaker : plugin), hash: this.hash }
    const bytes = sharedMemory(loaded, id, (...args) => this.state.arena.allocate(...args))(
      'any|"name"',
      64,
      backend,
    )
    const before = bytes[0]
    bytes[0] = 1
    return before
  }
}

const routes = (...paths: string[]): unknown[] =>
  paths.map((path) => ({ match: { host: 'shop.example.com', path }, service: 'app', filters: ['headers'] }))

describe('SharedState', () => {
  test('reads the use out of the keys that the host writes', () => {
    let key = ''
    sharedMemory(plugin, 'route//shop.example.com/a "b"|/filter/x', (one, bytes) => {
      key = one
      return new Uint8Array(new SharedArrayBuffer(bytes))
    })('n|"q"', 8)
    const id = 'route//shop.example.com/a "b"|/filter/x'
    expect(ownerOfKey(key)).toBe(memoryName({ kind: 'filter', plugin: 'headers', hash: 'built-in', id }))
    expect(ownerOfKey('something else')).toBeUndefined()
  })

  test('the memory of a service that has left is zeroed; that of one whose name goes on is not', async () => {
    const bench = new Bench()
    const guarded = pool(1, { breaker: 'error-rate' })
    await bench.serve({ services: { app: guarded, 'app-2': guarded } })
    for (const id of ['service/app/breaker', 'service/app-2/breaker', 'filter/top']) bench.touch(id)
    await bench.serve({ services: { 'app-2': guarded } })
    expect(bench.touch('service/app-2/breaker')).toBe(1)
    expect(bench.touch('filter/top')).toBe(1)
    expect(bench.touch('service/app/breaker')).toBe(0)
  })

  test('code that changes a thousand times, and a plugin that comes and goes, leave nothing behind', async () => {
    const bench = new Bench()
    const { arena, pluginMetrics } = bench.state
    const metrics = PluginMetrics.attach(bench.state.metrics, 1)
    const services = { app: pool(1, { breaker: 'error-rate' }) }
    const turns = [{ services, filters: ['headers'] }, { services: { app: pool() } }]
    const snapshots = await Promise.all(turns.map(async (wanted) => (await configOf(wanted)).snapshot))
    let used = 0
    for (let round = 0; round < 2000; round++) {
      bench.hash = `code-${round}`
      const [snapshot] = snapshots
      bench.commit({ ...snapshot, filters: [{ ...snapshot.filters[0], id: `headers-${round}` }] })
      expect(bench.touch('service/app/breaker', 0)).toBe(0)
      expect(bench.touch(`filter/headers-${round}`)).toBe(0)
      for (const name of ['one', 'two', 'three'])
        metrics.of(`filter/headers-${round}`, 'headers').counter(name, 'x'.repeat(500)).add()
      if (round % 100 === 0) bench.commit(snapshots[1])
      if (round === 10) used = arena.usedBytes
    }
    expect(arena.usedBytes).toBe(used)
    expect(pluginMetrics.samples().map(({ name, use, value }) => `${name} ${use} ${value}`)).toEqual(
      ['one', 'two', 'three'].map((name) => `${name} filter/headers-1999 1`),
    )
  })

  test('metrics of a use go on while its code changes', async () => {
    const bench = new Bench()
    const { snapshot } = await configOf({ filters: ['headers'] })
    bench.commit(snapshot)
    const metrics = PluginMetrics.attach(bench.state.metrics, 1)
    metrics.of('filter/headers', 'headers').counter('n', 'N.').add()
    bench.hash = 'other'
    bench.commit(snapshot)
    metrics.of('filter/headers', 'headers').counter('n', 'N.').add()
    expect(bench.state.pluginMetrics.samples()[0].value).toBe(2)
  })

  test('the memory of the filters of a route that has left is zeroed', async () => {
    const bench = new Bench()
    await bench.serve({ routes: routes('/a', '/a/b'), services: { app: pool() } })
    const ids = ['/a', '/a/b'].map((path) => `route//shop.example.com${path}/filter/headers`)
    for (const id of ids) bench.touch(id)
    await bench.serve({ routes: routes('/a/b'), services: { app: pool() } })
    expect(ids.map((id) => bench.touch(id))).toEqual([0, 1])
  })

  test('what a backend leaves is cleared before its slot has another owner', async () => {
    const bench = new Bench()
    const { table } = bench.state
    await bench.serve({ services: { app: pool(2) } })
    const generation = table.generation[1]
    bench.touch('service/app/breaker', 1)
    table.health[1] = 2
    table.breaker[1] = 1
    table.inFlight[1][1] = 3
    await bench.serve({ services: { app: pool(1) } })
    expect([table.health[1], table.breaker[1], table.inFlight[1][1]]).toEqual([0, 0, 0])
    expect(table.generation[1]).toBe(generation + 1)
    expect(bench.touch('service/app/breaker', 1)).toBe(0)
  })

  test('a plan that does not fit takes nothing', async () => {
    const bench = new Bench()
    const { snapshot } = await configOf({
      services: Object.fromEntries(Array.from({ length: 3 }, (_, i) => [`s${i}`, pool()])),
    })
    const many = {
      ...snapshot,
      services: Object.fromEntries(
        Array.from({ length: 5000 }, (_, i) => [`s${i}`, { ...snapshot.services.s0, name: `s${i}` }]),
      ),
    }
    expect(() => bench.plan(many)).toThrow(expect.objectContaining({ code: 'MR_SHARED_FULL' }))
    expect(bench.state.slots.used).toBe(0)
    expect(bench.state.services.used).toBe(0)
  })
})
