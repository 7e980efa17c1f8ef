import { describe, expect, test } from 'vitest'
import type { Snapshot } from '../../core/config/snapshot.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import { sharedMemory } from '../../core/host/shared-memory.ts'
import { useOfKey } from '../../core/threads/shared-keys.ts'
import { SharedState } from '../../core/threads/shared-state.ts'
import headers from '../../plugins/filter/headers.ts'
import { configOf, pool } from './fixtures/configs.ts'

const plugin = builtIn(headers) as LoadedPlugin

class Bench {
  readonly state = new SharedState(2)
  #revision = 0

  async serve(wanted: Record<string, unknown>): Promise<void> {
    const { snapshot } = await configOf(wanted)
    this.commit(snapshot)
  }

  commit(snapshot: Snapshot): void {
    this.state.commit(this.state.plan(snapshot), ++this.#revision)
    this.state.release(this.#revision)
  }

  /** First byte of a use's memory, which is then set. */
  touch(id: string, slot?: number): number {
    const backend = slot === undefined ? undefined : { slot }
    const bytes = sharedMemory(plugin, id, (...args) => this.state.arena.allocate(...args))(
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
    expect(useOfKey(key)).toBe('route//shop.example.com/a "b"|/filter/x')
    expect(useOfKey('something else')).toBeUndefined()
  })

  test('the memory of a service that has left is zeroed; that of one whose name goes on is not', async () => {
    const bench = new Bench()
    await bench.serve({ services: { app: pool(), 'app-2': pool() } })
    for (const id of ['service/app/breaker', 'service/app-2/breaker', 'filter/top']) bench.touch(id)
    await bench.serve({ services: { 'app-2': pool() } })
    expect(bench.touch('service/app-2/breaker')).toBe(1)
    expect(bench.touch('filter/top')).toBe(1)
    expect(bench.touch('service/app/breaker')).toBe(0)
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
    expect(() => bench.state.plan(many)).toThrow(expect.objectContaining({ code: 'MR_SHARED_FULL' }))
    expect(bench.state.slots.used).toBe(0)
    expect(bench.state.services.used).toBe(0)
  })
})
