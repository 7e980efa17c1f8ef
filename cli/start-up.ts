/** How long the plugins of a config take to start: each is imported and made once, and stopped again. */
import { performance } from 'node:perf_hooks'
import { type ConfigSource, soundPluginSources } from '../core/config/load.ts'
import type { HealthUse, PluginUse } from '../core/config/snapshot.ts'
import type { Member } from '../core/contracts/algorithm.ts'
import { type PluginKind, threadKinds } from '../core/contracts/plugin.ts'
import { MillraceError } from '../core/host/errors.ts'
import { createInstance, type InstanceDeps } from '../core/host/instance.ts'
import { loadPlugin } from '../core/host/loader.ts'
import { parseOptions } from '../core/host/options.ts'
import type { LoadedPlugin } from '../core/host/registry.ts'
import { type ScratchUse, scratchDeps, scratchThreadDeps } from '../core/host/scratch-context.ts'
import { buildTable } from '../core/threads/placement.ts'
import type { Terminal } from './terminal.ts'

/** Milliseconds by the specifier of the plugin. What is imported later is the same module, and costs nothing more. */
export async function timeImports(source: ConfigSource, env: Terminal['env']): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  for (const one of await soundPluginSources(source, { env })) {
    // Whoever loads the config tells all that is wrong at once.
    const { ms } = await timed(() => loadPlugin(one))
    if (typeof ms === 'number') times.set(one.specifier, ms)
  }
  return times
}

/** Milliseconds that some work took, or why it failed. */
type Taken = number | string

/** What `create` took. Nothing of the instance is left. */
export async function timeCreate(
  loaded: LoadedPlugin,
  use: PluginUse,
  { threads, ...scratch }: ScratchUse & { readonly threads: number },
): Promise<Taken> {
  const { kind } = loaded.definition
  const deps = threadKinds.includes(kind)
    ? scratchThreadDeps(scratch, threads)
    : processDeps(kind, use, scratch)
  const { ms, made } = await timed(() =>
    createInstance(loaded, kind, use.options, deps as unknown as InstanceDeps),
  )
  await made?.stop()
  return ms
}

/** What `buildTable` took; undefined where the plugin has none. */
export async function timeTable(
  { definition }: LoadedPlugin<'algorithm'>,
  { options, path }: PluginUse,
  members: readonly Member[],
): Promise<Taken | undefined> {
  if (!definition.buildTable) return undefined
  const build = async () => buildTable(definition, members, parseOptions(definition, options, path), path)
  return (await timed(build)).ms
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: Taken; readonly made?: T }> {
  const started = performance.now()
  try {
    const made = await work()
    return { ms: performance.now() - started, made }
  } catch (error) {
    if (error instanceof MillraceError) return { ms: `${error.code} ${error.message}` }
    throw error
  }
}

function processDeps(kind: PluginKind, use: PluginUse, scratch: ScratchUse): object {
  if (kind !== 'health-source') return scratchDeps(scratch)
  const { intervalMs, timeoutMs } = use as HealthUse
  const nothing = (): void => {}
  return { ...scratchDeps(scratch), intervalMs, timeoutMs, store: undefined, report: nothing, set: nothing }
}
