/** A thread of its own for the hooks of one plugin, as data threads have: the engine has seen no other code there. Posts
 * {@link HookMessage}s. */
import { parentPort, workerData } from 'node:worker_threads'
import { createInstance, type InstanceDeps, type PluginInstance } from '../../core/host/instance.ts'
import { LateError } from '../../core/host/instance-scope.ts'
import { installResolver } from '../../core/host/resolver.ts'
import { sharedMemory } from '../../core/host/shared-memory.ts'
import { inputs } from '../micro/case.ts'
import { defaultCalls, type Measured, measure, type Plan } from '../micro/measure.ts'
import type { HookCase } from './hook-cases.ts'
import type { PluginTarget } from './target.ts'

export interface HookWork {
  readonly target: PluginTarget
  readonly plan: Plan
}

export type HookMessage =
  /** What there is to measure. */
  | { readonly type: 'cases'; readonly names: readonly string[] }
  | {
      readonly type: 'measured'
      readonly name: string
      readonly hot: boolean
      /** Without the loop around the hook. */
      readonly measured: Measured
      readonly note: string | undefined
    }
  /** The hook threw, or did not what the contract says. */
  | { readonly type: 'failed'; readonly name: string; readonly message: string; readonly late: boolean }
  /** The plugin makes no instance. */
  | { readonly type: 'unusable'; readonly message: string }
  /** Lines that the plugin logged as warnings or errors while it was measured. */
  | { readonly type: 'logged'; readonly count: number; readonly first: string }

const { target, plan } = workerData as HookWork
/** The loop alone is quickly known. */
const emptyPlan: Plan = { ...plan, warmUpMs: plan.warmUpMs / 2, timeMs: plan.timeMs / 3 }
const post = (message: HookMessage): void => parentPort?.postMessage(message)
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

let logged = 0
let firstLine = ''
const complain = (message: string): void => {
  if (logged++ === 0) firstLine = message
}

async function run(): Promise<void> {
  // Before plugin code, and what imports `millrace`, is loaded.
  installResolver()
  const { loadTarget } = await import('./target.ts')
  const { planeDeps } = await import('../micro/plane-deps.ts')
  const { hookCases } = await import('./hook-cases.ts')
  const loaded = await loadTarget(target)
  const plane = planeDeps(inputs)
  const made: PluginInstance[] = []
  const make = async (): Promise<unknown> => {
    const id = `bench/${made.length}`
    const deps = {
      ...{ id, clock: plane.clock, random: plane.random, thread: 0, threads: 1 },
      log: { debug() {}, info() {}, warn: complain, error: complain },
      metrics: plane.pluginMetrics(id, target.name),
      shared: sharedMemory(loaded, id, (key, bytes, slot) => plane.shared(key, bytes, slot)),
    } as unknown as InstanceDeps
    const plugin = await createInstance(loaded, target.kind, target.options, deps)
    made.push(plugin)
    return plugin.instance
  }
  try {
    const cases = await hookCases(target.kind, loaded.definition, target, make)
    post({ type: 'cases', names: cases.map(({ name }) => name) })
    for (const one of cases) post(await measured(one))
    if (logged > 0) post({ type: 'logged', count: logged, first: firstLine })
  } catch (error) {
    post({ type: 'unusable', message: messageOf(error) })
  } finally {
    for (const plugin of made) await plugin.stop()
  }
}

async function measured({ name, hot, calls = defaultCalls, empty, prepare }: HookCase): Promise<HookMessage> {
  try {
    const loop = empty && (await measure(empty, calls, emptyPlan))
    const running = await prepare()
    const whole = await measure(running, calls, plan)
    return { type: 'measured', name, hot, measured: without(whole, loop), note: running.note?.() }
  } catch (error) {
    return { type: 'failed', name, message: messageOf(error), late: error instanceof LateError }
  }
}

function without(whole: Measured, loop: Measured | undefined): Measured {
  if (loop === undefined) return whole
  const less = (value: number, by: number): number => Math.max(0, value - by)
  return {
    ...whole,
    ns: less(whole.ns, loop.ns),
    q1: less(whole.q1, loop.ns),
    q3: less(whole.q3, loop.ns),
    bytes: less(whole.bytes, loop.bytes),
  }
}

await run()
