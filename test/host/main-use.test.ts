import { definePlugin, z } from 'millrace'
import { expect, test } from 'vitest'
import { createInstance } from '../../core/host/instance.ts'
import { type MainUse, startMainUse, type WatchedUse } from '../../core/host/main-use.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { testLog } from '../threads/fixtures/server.ts'

interface Source {
  stopped: boolean
  readonly isCurrent: () => boolean
}

/** @param create runs in `create` of each instance, by its number from 1 */
async function bench(create: (number: number) => void | Promise<void> = () => {}) {
  const clock = new FakeClock()
  const { lines, log } = testLog()
  const made: Source[] = []
  const uses = new Set<WatchedUse>()
  const changes: boolean[] = []
  let isCurrent = (): boolean => false
  const plugin = definePlugin({
    api: 1,
    kind: 'health-source',
    name: 'knock',
    options: z.strictObject({}),
    async create(context) {
      const source: Source = { stopped: false, isCurrent }
      made.push(source)
      context.defer(() => {
        source.stopped = true
      })
      await create(made.length)
      return { update() {} }
    },
  })
  const loaded = builtIn(plugin) as unknown as LoadedPlugin<'health-source'>
  const nothing = { add() {}, set() {} }
  const started = startMainUse<'health-source'>({
    ...{ loaded, id: 'service/app/health', clock, log },
    uses: {
      add(use) {
        uses.add(use)
        return () => void uses.delete(use)
      },
      inside: (_use, work) => work(),
      outside: (work) => work(),
    },
    make(current) {
      isCurrent = current
      return createInstance(
        loaded,
        'health-source',
        {},
        {
          ...{ id: 'service/app/health', clock, log, random: () => 0.5, store: undefined },
          ...{ intervalMs: 1000, timeoutMs: 500, report() {}, set() {} },
          metrics: { counter: () => nothing, gauge: () => nothing },
        },
      )
    },
    changed: (instance) => changes.push(instance !== undefined),
  })
  return { clock, lines, made, uses, changes, started }
}

/** Throws, and lets time pass until the next instance is there. @returns how long that took, in milliseconds */
async function pauseAfter(use: MainUse<'health-source'>, clock: FakeClock): Promise<number> {
  use.threw()
  const from = clock.now()
  while (use.instance === undefined) await clock.advanceAsync(50)
  return clock.now() - from
}

test('an instance whose plugin has thrown is stopped, not heard any more, and made anew', async () => {
  const { clock, lines, made, changes, started } = await bench()
  const use = await started
  expect([use.down, changes]).toEqual([undefined, [true]])
  use.threw()
  expect(use.instance).toBeUndefined()
  expect(use.down).toMatch(/stopped/)
  await clock.advanceAsync(99)
  expect([made[0].stopped, made[0].isCurrent(), made.length]).toEqual([true, false, 1])
  expect(use.down).toBe('its instance was stopped (1 in a row), and is made anew after 100 ms')
  await clock.advanceAsync(1)
  expect([made.length, made[1].isCurrent(), use.down, changes]).toEqual([
    2,
    true,
    undefined,
    [true, false, true],
  ])
  expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'warn health-source knock (service/app/health) is stopped, and made anew after 100 ms',
    'info health-source knock (service/app/health) is made anew',
  ])
  expect(lines[0].fields).toMatchObject({ code: 'MR_PLUGIN_FAULT', plugin: 'knock' })
  await use.stop()
  expect(clock.pending).toBe(0)
})

test('the pause doubles up to 30 s while it goes on, and begins anew after a minute without a throw', async () => {
  const { clock, started } = await bench()
  const use = await started
  const pauses: number[] = []
  for (let i = 0; i < 11; i++) pauses.push(await pauseAfter(use, clock))
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
  await clock.advanceAsync(60_000)
  expect(await pauseAfter(use, clock)).toBe(100)
  await use.stop()
})

test('one that was stopped and goes on throwing lengthens no pause', async () => {
  const { clock, made, started } = await bench()
  const use = await started
  use.threw()
  await clock.advanceAsync(50)
  for (let i = 0; i < 5; i++) use.threw()
  await clock.advanceAsync(50)
  expect(made).toHaveLength(2)
  await use.stop()
})

test('what throws while it is made is given up when it is there', async () => {
  const gate = Promise.withResolvers<void>()
  const { clock, made, changes, started } = await bench((number) => (number === 2 ? gate.promise : undefined))
  const use = await started
  use.threw()
  await clock.advanceAsync(100)
  expect(made).toHaveLength(2)
  use.threw()
  gate.resolve()
  await clock.advanceAsync(0)
  expect([made[1].stopped, use.instance, changes]).toEqual([true, undefined, [true, false, false]])
  await clock.advanceAsync(200)
  expect([made.length, changes.at(-1)]).toEqual([3, true])
  await use.stop()
})

test('one that cannot be made anew is tried again, later each time', async () => {
  const { clock, lines, made, started } = await bench((number) => {
    if (number === 2 || number === 3) throw new Error('no port')
  })
  const use = await started
  use.threw()
  await clock.advanceAsync(100)
  expect(lines.at(-2)).toMatchObject({
    level: 'error',
    message: expect.stringMatching(/cannot be made anew: .*create threw: .*no port/),
    fields: { code: 'MR_PLUGIN_CREATE' },
  })
  await clock.advanceAsync(200 + 400)
  expect([made.length, use.down]).toEqual([4, undefined])
  await use.stop()
})

test('the first that cannot be made is told, and nothing is left', async () => {
  const { clock, uses, started } = await bench(() => {
    throw new Error('no port')
  })
  await expect(started).rejects.toMatchObject({ code: 'MR_PLUGIN_CREATE' })
  expect([uses.size, clock.pending]).toEqual([0, 0])
})

test('stopped while it waits, nothing is made any more', async () => {
  const { clock, made, uses, started } = await bench()
  const use = await started
  use.threw()
  await clock.advanceAsync(10)
  await use.stop()
  use.threw()
  await clock.advanceAsync(60_000)
  expect([made.length, uses.size, clock.pending]).toEqual([1, 0, 0])
})
