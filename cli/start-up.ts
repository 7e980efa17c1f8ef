/** How long the plugins of a config take to start: each is imported and made once, and stopped again. */
import { performance } from 'node:perf_hooks'
import { type ConfigSource, readPluginSources } from '../core/config/load.ts'
import type { HealthUse, PluginSource, PluginUse } from '../core/config/snapshot.ts'
import type { PluginKind } from '../core/contracts/plugin.ts'
import { systemClock } from '../core/host/clock.ts'
import { MillraceError } from '../core/host/errors.ts'
import { createInstance, type InstanceDeps } from '../core/host/instance.ts'
import { loadPlugin } from '../core/host/loader.ts'
import type { LoadedPlugin } from '../core/host/registry.ts'
import type { Terminal } from './terminal.ts'

/** Milliseconds by the specifier of the plugin. What is imported later is the same module, and costs nothing more. */
export async function timeImports(source: ConfigSource, env: Terminal['env']): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  const sources: readonly PluginSource[] = await readPluginSources(source, { env })
  for (const one of sources) {
    const started = performance.now()
    try {
      await loadPlugin(one)
    } catch (error) {
      // Whoever loads the config tells all that is wrong at once.
      if (!(error instanceof MillraceError)) throw error
    }
    times.set(one.specifier, performance.now() - started)
  }
  return times
}

/** Milliseconds that `create` took, or why it failed. Nothing of the instance is left. */
export async function timeCreate(
  loaded: LoadedPlugin,
  use: PluginUse,
  id: string,
  threads: number,
): Promise<number | string> {
  const { kind } = loaded.definition
  const started = performance.now()
  try {
    const made = await createInstance(loaded, kind, use.options, depsOf(kind, use, id, threads))
    const ms = performance.now() - started
    await made.stop()
    return ms
  } catch (error) {
    if (error instanceof MillraceError) return `${error.code} ${error.message}`
    throw error
  }
}

function depsOf(kind: PluginKind, use: PluginUse, id: string, threads: number): InstanceDeps {
  const nothing = () => {}
  const common = {
    id,
    path: use.path,
    clock: systemClock,
    random: Math.random,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    metrics: { counter: () => ({ add: nothing }), gauge: () => ({ set: nothing }) },
  }
  if (kind === 'health-source') {
    const { intervalMs, timeoutMs } = use as HealthUse
    const health = { intervalMs, timeoutMs, store: undefined, report: nothing, set: nothing }
    return { ...common, ...health } as unknown as InstanceDeps
  }
  const memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  const shared = (name: string, bytes: number, backend?: { readonly slot: number }) => {
    const key = `${backend?.slot ?? ''} ${name}`
    const found = memory.get(key) ?? new Uint8Array(new SharedArrayBuffer((bytes + 7) & ~7))
    memory.set(key, found)
    return found
  }
  return { ...common, thread: 0, threads, shared } as unknown as InstanceDeps
}
