import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Filter, PluginContext, ThreadContext } from '../../core/contracts/index.ts'
import { definePlugin } from '../../core/contracts/plugin.ts'
import type { MillraceError } from '../../core/host/errors.ts'
import { createInstance } from '../../core/host/instance.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import { FakeClock } from '../harness/fake-clock.ts'

type Line = [level: string, message: string, fields: Record<string, unknown> | undefined]

function world() {
  const clock = new FakeClock()
  const lines: Line[] = []
  const faults: MillraceError[] = []
  const level = (name: string) => (message: string, fields?: Record<string, unknown>) =>
    void lines.push([name, message, fields])
  const nothing = { add() {}, set() {} }
  const deps = {
    id: 'service/api/filters/test',
    path: 'services.api.filters[0]',
    clock,
    random: () => 0.5,
    log: { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') },
    metrics: { counter: () => nothing, gauge: () => nothing },
    onFault: (error: MillraceError) => void faults.push(error),
    thread: 1,
    threads: 2,
    shared: (_name: string, bytes: number) => new Uint8Array(new SharedArrayBuffer(bytes)),
  }
  /** Makes an instance of a filter with this `create`. */
  const make = (
    create: (context: ThreadContext, options: { word: string }) => unknown,
    options: unknown = {},
  ) => createInstance(filter(create), 'filter', options, deps)
  return { clock, lines, faults, deps, make }
}

function filter(
  create: (context: ThreadContext, options: { word: string }) => unknown,
): LoadedPlugin<'filter'> {
  const definition = definePlugin({
    api: 1,
    kind: 'filter',
    name: 'test',
    options: z.object({ word: z.string().default('none') }),
    create: create as (context: ThreadContext, options: { word: string }) => Filter,
  })
  return builtIn(definition) as unknown as LoadedPlugin<'filter'>
}

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

describe('create', () => {
  test('is given parsed options and a context that is its own', async () => {
    const { make, lines, deps } = world()
    let seen: ThreadContext | undefined
    const made = await make(
      (context, options) => {
        seen = context
        context.log.info('hello', { word: options.word })
        return { onRequest() {} }
      },
      { word: 'a' },
    )
    expect(seen).toMatchObject({ id: deps.id, thread: 1, threads: 2 })
    expect(Object.keys(seen ?? {}).sort()).toEqual([
      'clock',
      'defer',
      'id',
      'log',
      'metrics',
      'random',
      'resolvePath',
      'shared',
      'signal',
      'thread',
      'threads',
      'trial',
    ])
    expect(seen?.random()).toBe(0.5)
    expect(lines).toEqual([['info', 'hello', { kind: 'filter', plugin: 'test', use: deps.id, word: 'a' }]])
    expect(made).toMatchObject({ id: deps.id, instance: { onRequest: expect.any(Function) } })
  })

  test('finds files beside the config, and knows whether it is only tried', async () => {
    const { deps } = world()
    const seen: unknown[] = []
    const tell = ({ resolvePath, trial }: ThreadContext) => seen.push(resolvePath('a'), trial) && {}
    await createInstance(filter(tell), 'filter', {}, { ...deps, directory: '/srv' })
    await createInstance(filter(tell), 'filter', {}, { ...deps, trial: true })
    expect(seen).toEqual(['/srv/a', false, path.resolve('a'), true])
  })

  test('may be asynchronous', async () => {
    const { make } = world()
    const instance = { onDone() {} }
    expect((await make(async () => instance)).instance).toBe(instance)
  })

  test('a throw is attributed, and what was deferred is released in reverse order first', async () => {
    const { make } = world()
    const released: string[] = []
    let context: PluginContext | undefined
    const made = make((given) => {
      context = given
      given.defer(() => void released.push('first'))
      given.defer(async () => void released.push('second'))
      throw new TypeError('no port')
    })
    await expect(made).rejects.toMatchObject({
      code: 'MR_PLUGIN_CREATE',
      message: 'The filter "test" (service/api/filters/test): create threw: no port',
      plugin: 'test',
      hook: 'create',
      path: 'services.api.filters[0]',
      cause: expect.any(TypeError),
    })
    expect(released).toEqual(['second', 'first'])
    expect(context?.signal.aborted).toBe(true)
  })

  test('has ten seconds; what it opens later is closed at once', async () => {
    const { make, clock } = world()
    const released: string[] = []
    let goOn = (): void => {}
    const made = make(async (context) => {
      context.defer(() => void released.push('early'))
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
      context.defer(() => void released.push('late'))
      return {}
    })
    const refused = expect(made).rejects.toThrow(
      failure('MR_PLUGIN_TIMEOUT', /create did not finish in 10 s/),
    )
    await clock.advanceAsync(10_000)
    await refused
    expect(released).toEqual(['early'])
    goOn()
    await clock.advanceAsync(0)
    expect(released).toEqual(['early', 'late'])
    expect(clock.pending).toBe(0)
  })

  test('wrong options never reach it', async () => {
    const { make } = world()
    const made = make(() => expect.unreachable(), { wrd: 'a' })
    await expect(made).rejects.toThrow(
      failure('MR_PLUGIN_OPTIONS', /at services\.api\.filters\[0\].*"wrd".*"word"/),
    )
  })
})

describe('stop', () => {
  test('aborts the signal, cancels timers and releases in reverse order, once', async () => {
    const { make, clock } = world()
    const seen: string[] = []
    const made = await make((context) => {
      context.signal.addEventListener('abort', () => seen.push('abort'))
      context.clock.every(10, () => seen.push('tick'))
      context.clock.after(15, () => seen.push('once'))
      context.defer(() => void seen.push('first'))
      context.defer(() => Promise.resolve().then(() => void seen.push('second')))
      return {}
    })
    clock.advance(20)
    await Promise.all([made.stop(), made.stop()])
    clock.advance(100)
    expect(seen).toEqual(['tick', 'once', 'tick', 'abort', 'second', 'first'])
    expect(clock.pending).toBe(0)
  })

  test('a release that throws or hangs is reported, and the others still run', async () => {
    const { make, clock, faults } = world()
    const released: string[] = []
    const made = await make((context) => {
      context.defer(() => void released.push('last'))
      context.defer(() => new Promise(() => {}))
      context.defer(() => {
        throw new Error('socket is gone')
      })
      return {}
    })
    const stopped = made.stop()
    await clock.advanceAsync(5000)
    await stopped
    expect(released).toEqual(['last'])
    expect(faults.map(({ code, hook }) => [code, hook])).toEqual([
      ['MR_PLUGIN_RELEASE', 'release'],
      ['MR_PLUGIN_TIMEOUT', 'release'],
    ])
  })

  test('a release may wait with the clock', async () => {
    const { make, clock, faults } = world()
    const made = await make((context) => {
      context.defer(() => new Promise<void>((resolve) => void context.clock.after(100, resolve)))
      return {}
    })
    const stopped = made.stop()
    await clock.advanceAsync(100)
    await stopped
    expect(faults).toEqual([])
    expect(clock.pending).toBe(0)
  })

  test('timers asked for afterwards never fire', async () => {
    const { make, clock } = world()
    let context: PluginContext | undefined
    const made = await make((given) => {
      context = given
      return {}
    })
    await made.stop()
    context?.clock.after(1, () => expect.unreachable())
    context?.clock.every(1, () => expect.unreachable())
    clock.advance(10)
    expect(clock.pending).toBe(0)
  })
})

describe('timers', () => {
  test('a throw or a rejection in one is logged with the plugin, and the others go on', async () => {
    const { make, clock, faults, lines } = world()
    let ticks = 0
    const made = await make((context) => {
      context.clock.after(1, () => {
        throw new Error('boom')
      })
      context.clock.after(2, async () => Promise.reject(new Error('later')))
      context.clock.every(5, () => void ticks++)
      return {}
    })
    await clock.advanceAsync(10)
    await made.stop()
    expect(ticks).toBe(2)
    expect(faults.map(({ message }) => message)).toEqual([
      'The filter "test" (service/api/filters/test): timer threw: boom',
      'The filter "test" (service/api/filters/test): timer threw: later',
    ])
    expect(lines[0]).toMatchObject(['error', faults[0].message, { code: 'MR_PLUGIN_FAULT', plugin: 'test' }])
  })

  test('one can be cancelled by its maker, also from within', async () => {
    const { make, clock } = world()
    let ticks = 0
    await make((context) => {
      const timer = context.clock.every(1, () => {
        if (++ticks === 2) timer.cancel()
      })
      return {}
    })
    clock.advance(10)
    expect(ticks).toBe(2)
  })
})

describe('reconfigure', () => {
  test('hands parsed options to the running instance', async () => {
    const { make } = world()
    const seen: unknown[] = []
    const made = await make(() => ({ reconfigure: (options: unknown) => void seen.push(options) }))
    expect(made.reconfigure({ word: 'new' })).toBe(true)
    expect(seen).toEqual([{ word: 'new' }])
    expect(() => made.reconfigure({ word: 1 })).toThrow(failure('MR_PLUGIN_OPTIONS', /word/))
    expect(seen).toHaveLength(1)
  })

  test('is false where the plugin has none', async () => {
    expect((await world().make(() => ({}))).reconfigure({})).toBe(false)
  })

  test('a throw in it is attributed', async () => {
    const made = await world().make(() => ({
      reconfigure() {
        throw new Error('boom')
      },
    }))
    expect(() => made.reconfigure({})).toThrow(failure('MR_PLUGIN_FAULT', /reconfigure threw: boom/))
  })
})

test('an instance of the wrong shape is refused, and what was deferred is released', async () => {
  const { make } = world()
  let released = false
  const made = make((context) => {
    context.defer(() => {
      released = true
    })
    return { onReponse() {} }
  })
  await expect(made).rejects.toThrow(
    failure('MR_PLUGIN_SHAPE', /^The filter "test" .*: create returned .*did you mean "onResponse"\?/),
  )
  expect(released).toBe(true)
})
