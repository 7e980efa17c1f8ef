import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { definePlugin } from '../../core/contracts/plugin.ts'
import { LateError } from '../../core/host/instance-scope.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import type { PlacedService } from '../../core/proxy/thread-snapshot.ts'
import { backendIds, placeServices } from '../../core/threads/placement.ts'
import { SlotPool } from '../../core/threads/slots.ts'
import { configOf, pool } from './fixtures/configs.ts'

class Bench {
  readonly built: string[] = []
  registry: PluginRegistry
  readonly slots = new SlotPool(100)
  readonly services = new SlotPool(10)
  #previous: { services: ReadonlyMap<string, PlacedService>; registry: PluginRegistry } | undefined
  #revision = 0

  constructor() {
    this.registry = this.registryOf('v1')
  }

  registryOf(hash: string): PluginRegistry {
    const registry = new PluginRegistry()
    const heavy = definePlugin({
      api: 1,
      kind: 'algorithm',
      name: 'heavy',
      options: z.strictObject({ size: z.number().default(4), broken: z.boolean().default(false) }),
      create: () => ({ update() {}, pick: () => undefined }),
      buildTable: (members, { size, broken }) => {
        if (broken) throw new Error('told to break')
        this.built.push(members.map(({ weight }) => weight).join())
        return new Uint8Array(size).fill(members.length)
      },
    })
    const light = definePlugin({
      api: 1,
      kind: 'algorithm',
      name: 'light',
      options: z.strictObject({}),
      create: () => ({ update() {}, pick: () => undefined }),
    })
    registry.add({ ...builtIn(heavy), hash })
    registry.add({ ...builtIn(light), hash: 'same' })
    return registry
  }

  async place(wanted: Record<string, unknown>): Promise<ReadonlyMap<string, PlacedService>> {
    const { snapshot } = await configOf({ services: wanted })
    const slots = this.slots.plan(backendIds(snapshot))
    const services = this.services.plan(Object.keys(snapshot.services))
    const { registry } = this
    const placed = await placeServices(snapshot, { slots, services, registry, previous: this.#previous })
    this.#revision++
    this.slots.commit(slots, this.#revision)
    this.services.commit(services, this.#revision)
    this.#previous = { services: placed, registry }
    return placed
  }
}

const heavy = (more: object = {}): unknown => ({ use: 'heavy', ...more })

describe('placeServices', () => {
  test('builds a table into shared memory over all members, and keeps it while they and the options stay', async () => {
    const bench = new Bench()
    const [first] = (await bench.place({ app: pool(3, { algorithm: heavy() }) })).values()
    expect(first.placement.table?.buffer).toBeInstanceOf(SharedArrayBuffer)
    expect([...(first.placement.table ?? [])]).toEqual([3, 3, 3, 3])
    const [second] = (
      await bench.place({ app: pool(3, { algorithm: heavy(), panicThreshold: '10%' }) })
    ).values()
    expect(second).not.toBe(first)
    expect(second.placement.table).toBe(first.placement.table)
    const [third] = (await bench.place({ app: pool(3, { algorithm: heavy({ size: 8 }) }) })).values()
    expect(third.placement.table).toHaveLength(8)
    await bench.place({ app: pool(2, { algorithm: heavy({ size: 8 }) }) })
    expect(bench.built).toEqual(['1,1,1', '1,1,1', '1,1'])
  })

  test('an unchanged service is the same object; one without a table plugin has no table', async () => {
    const bench = new Bench()
    const services = { one: pool(2, { algorithm: heavy() }), two: pool(1, { algorithm: 'light' }) }
    const first = await bench.place(services)
    const second = await bench.place({ ...services, three: pool(1, { algorithm: 'light' }) })
    expect(second.get('one')).toBe(first.get('one'))
    expect(second.get('two')).toBe(first.get('two'))
    expect(second.get('two')?.placement.table).toBeUndefined()
  })

  test('other code of its plugin makes another object and another table; other services stay', async () => {
    const bench = new Bench()
    const services = { one: pool(2, { algorithm: heavy() }), two: pool(1, { algorithm: 'light' }) }
    const first = await bench.place(services)
    bench.registry = bench.registryOf('v2')
    const second = await bench.place(services)
    expect(second.get('one')).not.toBe(first.get('one'))
    expect(second.get('one')?.placement.slots).toEqual(first.get('one')?.placement.slots)
    expect(second.get('two')).toBe(first.get('two'))
    expect(bench.built).toHaveLength(2)
  })

  test('gives the event loop a turn between heavy tables', async () => {
    const bench = new Bench()
    const seen: number[] = []
    const watch = (): void => {
      seen.push(bench.built.length)
      if (bench.built.length < 3) setImmediate(watch)
    }
    setImmediate(watch)
    await bench.place(
      Object.fromEntries(['a', 'b', 'c'].map((name) => [name, pool(2, { algorithm: heavy() })])),
    )
    expect(seen).toEqual(expect.arrayContaining([1, 2]))
  })

  test('a plugin that throws is named', async () => {
    await expect(
      new Bench().place({ app: pool(1, { algorithm: heavy({ broken: true }) }) }),
    ).rejects.toMatchObject({
      code: 'MR_PLUGIN_FAULT',
      plugin: 'heavy',
      hook: 'buildTable',
      path: expect.stringContaining('services.app.algorithm'),
    })
  })

  test('one that is late is told as late, and not as one that has thrown', async () => {
    const bench = new Bench()
    const never = definePlugin({
      api: 1,
      kind: 'algorithm',
      name: 'never',
      options: z.strictObject({}),
      create: () => ({ update() {}, pick: () => undefined }),
      // As the thread says it where plugin code is tried.
      buildTable: () => {
        throw new LateError('no answer within 10 s')
      },
    })
    bench.registry.add(builtIn(never))
    await expect(bench.place({ app: pool(1, { algorithm: 'never' }) })).rejects.toMatchObject({
      code: 'MR_PLUGIN_TIMEOUT',
      message: 'The algorithm "never": buildTable was late: no answer within 10 s',
    })
  })
})
