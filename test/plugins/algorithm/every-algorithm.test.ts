import type { Algorithm, Backend } from 'millrace'
import { describe, expect, test } from 'vitest'
import { builtins } from '../../../plugins/manifest.ts'
import { seeded, threadContext } from '../fake-context.ts'
import { FakeRequest, FakeView, numbered } from '../fake-view.ts'
import { algorithm, builtin, parsed } from '../make.ts'

const names = builtins.filter(({ kind }) => kind === 'algorithm').map(({ name }) => name)

/** The view as the host gives it, with the plugin's table. */
function viewFor(name: string, all: readonly Backend[], available?: Backend[]): FakeView {
  const plugin = builtin('algorithm', name)
  return new FakeView(all, available, plugin.buildTable?.(all, parsed(plugin, {}) as never))
}

function draws(
  instance: Algorithm,
  count: number,
  request = new FakeRequest(),
  random = seeded(3),
): (Backend | undefined)[] {
  return Array.from({ length: count }, () => {
    request.hash = Math.floor(random() * 2 ** 32)
    return instance.pick(request)
  })
}

describe.each(names)('%s', (name) => {
  test('picks nobody before the first backend, and nobody when all are gone', async () => {
    const instance = await algorithm(name)
    instance.update(viewFor(name, []))
    expect(instance.pick(new FakeRequest())).toBeUndefined()
    const all = numbered(3)
    instance.update(viewFor(name, all, []))
    expect(instance.pick(new FakeRequest())).toBeUndefined()
    instance.update(viewFor(name, all))
    expect(instance.pick(new FakeRequest().without(...all))).toBeUndefined()
    expect(all).toContain(instance.pick(new FakeRequest()))
  })

  test.each([1, 2, 3, 7, 64, 65, 300])('never picks an unavailable or excluded one of %i', async (count) => {
    const random = seeded(count)
    const all = numbered(count, () => Math.floor(random() * 4))
    const instance = await algorithm(name)
    const table = viewFor(name, all).table
    const request = new FakeRequest()
    for (let round = 0; round < 60; round++) {
      const share = random()
      const available = all.filter(({ weight }) => weight > 0 && random() < share)
      const view = new FakeView(all, available, table)
      for (const backend of all) view.load.set(backend, Math.floor(random() * 3))
      instance.update(view)
      for (let i = 0; i < 20; i++) {
        const excluded = random()
        request.without(...all.filter(() => random() < excluded))
        request.hash = Math.floor(random() * 2 ** 32)
        const left = available.filter((backend) => !request.out.has(backend))
        const picked = instance.pick(request)
        if (left.length === 0) expect(picked).toBeUndefined()
        else expect(left).toContain(picked)
      }
    }
  })

  test('finds the last one that is left of many', async () => {
    const all = numbered(500)
    const instance = await algorithm(name)
    instance.update(viewFor(name, all))
    const last = all[321]
    const request = new FakeRequest().without(...all.filter((backend) => backend !== last))
    for (const picked of draws(instance, 50, request)) expect(picked).toBe(last)
  })

  test('uses every backend', async () => {
    const all = numbered(20)
    const instance = await algorithm(name)
    instance.update(viewFor(name, all))
    expect(new Set(draws(instance, 2000)).size).toBe(20)
  })

  test('the same seed gives the same picks', async () => {
    const all = numbered(9, (index) => 1 + (index % 3))
    const runs = await Promise.all(
      [5, 5].map(async (seed) => {
        const instance = await algorithm(name, {}, threadContext({ seed }))
        instance.update(viewFor(name, all))
        return draws(instance, 200)
      }),
    )
    expect(runs[0]).toEqual(runs[1])
  })
})
