/** What holds for plugins of every kind: shape, options, life and what is left after it. */
import { strict as assert } from 'node:assert'
import type { PluginKind } from '../../core/contracts/index.ts'
import { MillraceError } from '../../core/host/errors.ts'
import type { InstanceDeps } from '../../core/host/instance.ts'
import { optionsJsonSchema, parseOptions } from '../../core/host/options.ts'
import { checkPlugin } from '../../core/host/plugin-shape.ts'
import type { Case, Subject } from './case.ts'
import { LeakWatch } from './leaks.ts'
import { type Made, type Making, Stage } from './stage.ts'
import { settled } from './time.ts'

/** How often `create` is broken off at most: at its first call of the context, its second, … */
const mostFaults = 200

/** How an instance comes about and is used, so that there is something to leave behind. */
export interface Exercise<K extends PluginKind> {
  /** What an instance needs that is not the plugin's: a server, its options. */
  prepare?(stage: Stage<K>): Promise<Making<K>>
  use(stage: Stage<K>, made: Made<K>): void | Promise<void>
}

export function everyKindCases<K extends PluginKind>(
  { plugin, options }: Subject<K>,
  exercise: Exercise<K>,
): Case<K>[] {
  const definition = plugin as unknown as Parameters<typeof parseOptions>[0]
  return [
    { name: 'has the shape of a plugin', run: () => void checkPlugin(plugin, 'The plugin') },
    {
      name: 'takes the options of this test',
      run: () => void parseOptions(definition, options),
    },
    {
      name: 'refuses an unknown option, and says which one was meant',
      run() {
        const schema = optionsJsonSchema(plugin.options)
        assert(schema, 'the schema of the options has no JSON Schema: unknown keys cannot be told')
        const [key] = Object.keys((schema.properties ?? {}) as object).sort((a, b) => b.length - a.length)
        const { [key ?? '']: _meant, ...others } = options as Record<string, unknown>
        const slip = key === undefined ? 'unheardOf' : key + key.at(-1)
        const error = refusal(() => parseOptions(definition, { ...others, [slip]: 1 }))
        assert(error, `the unknown option ${slip} was taken: close the schema (z.strictObject)`)
        assert(error.message.includes(slip), `the message does not name ${slip}: ${error.message}`)
        if (key !== undefined) assert.match(error.message, /did you mean/)
      },
    },
    {
      name: 'refuses options that are nonsense without falling over',
      run() {
        const [key] = Object.keys((optionsJsonSchema(plugin.options)?.properties ?? {}) as object)
        const nonsense: unknown[] = [5, 'text', true, [], [1], () => 1]
        if (key !== undefined)
          nonsense.push(...[null, {}, [], 'nonsense', -1, Number.NaN].map((value) => ({ [key]: value })))
        // Some of it may be right; whatever is not is a problem of the options, never a throw of anything else.
        for (const raw of nonsense) refusal(() => parseOptions(definition, raw))
      },
    },
    {
      name: 'leaves no timer and no socket behind, however often it is stopped',
      async run(stage) {
        const watch = new LeakWatch()
        stage.aside = (work) => watch.outside(work)
        const making = await exercise.prepare?.(stage)
        await watch.run(async () => {
          const made = await stage.make(making)
          await exercise.use(stage, made)
          await made.stop()
          await made.stop()
        })
        assert.deepEqual(await watch.left(), [], 'left behind after stop')
      },
    },
    {
      name: 'can be stopped at once, unused',
      async run(stage) {
        const watch = new LeakWatch()
        const making = await exercise.prepare?.(stage)
        await watch.run(async () => {
          const made = await stage.make(making)
          await Promise.all([made.stop(), made.stop()])
        })
        assert.deepEqual(await watch.left(), [], 'left behind after stop')
      },
    },
    {
      name: 'a create that fails half-way leaves nothing behind',
      async run(stage) {
        const making = await exercise.prepare?.(stage)
        for (let at = 1; at <= mostFaults; at++) {
          const watch = new LeakWatch()
          const fault = new Interruption(at)
          const own = new Stage(stage.subject)
          await watch.run(async () => {
            await own.make({ ...making, wrap: (deps) => fault.around(deps) }).catch((error: unknown) => {
              if (!fault.thrown) throw error
            })
            fault.over = true
            await settled()
            await own.close()
          })
          assert.deepEqual(
            await watch.left(),
            [],
            `left behind after create failed at its call ${at} of the context`,
          )
          if (!fault.thrown) return
        }
      },
    },
    {
      name: 'goes on when another instance of it has stopped',
      async run(stage) {
        const making = await exercise.prepare?.(stage)
        const first = await stage.make(making)
        const second = await stage.make(making)
        assert.notEqual(first.instance, second.instance, 'create returned the same object twice')
        await exercise.use(stage, first)
        await first.stop()
        await exercise.use(stage, second)
      },
    },
  ]
}

/** The refusal; undefined when the options were taken. @throws whatever else came */
function refusal(parse: () => unknown): MillraceError | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR_PLUGIN_OPTIONS') return error
    throw error
  }
}

/** Makes one call of the context throw, counted from 1. */
class Interruption {
  thrown = false
  over = false
  #left: number

  constructor(at: number) {
    this.#left = at
  }

  around<K extends PluginKind>(deps: InstanceDeps<K>): InstanceDeps<K> {
    return this.#wrap(deps, 2) as InstanceDeps<K>
  }

  #wrap<T extends object>(target: T, depth: number): T {
    const wrapped: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(target)) {
      // What an instance tells when there is news is no step of its making.
      if (key === 'onFault' || key === 'hint' || key === 'bus') wrapped[key] = value
      else if (typeof value === 'function')
        wrapped[key] = (...given: unknown[]) => {
          if (!this.over && --this.#left === 0) {
            this.thrown = true
            throw new Error('interrupted by the conformance kit')
          }
          return (value as (...given: unknown[]) => unknown).apply(target, given)
        }
      else if (depth > 1 && isPlain(value)) wrapped[key] = this.#wrap(value, depth - 1)
      else wrapped[key] = value
    }
    return wrapped as T
  }
}

/** Functions of a class's instance are not its own entries: those objects are passed on as they are. */
function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
