/**
 * Plugin instances of one data thread over its snapshots: a use that has not changed keeps its instance, changed options go
 * to `reconfigure` where the plugin has it, all else is made anew; what is no longer used stops when the last exchange that
 * could call it has ended.
 */
import { canonical } from '../config/canonical.ts'
import type { PluginUse } from '../config/snapshot.ts'
import type { PluginKinds, ThreadKind } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import { createInstance, type InstanceDeps, type PluginInstance } from '../host/instance.ts'
import { optionProblems } from '../host/options.ts'
import type { LoadedPlugin } from '../host/registry.ts'
import { sharedMemory } from '../host/shared-memory.ts'
import type { PluginFault } from '../threads/fault-report.ts'
import type { PlaneDeps } from '../threads/plane.ts'

interface Held {
  readonly plugin: PluginInstance
  readonly use: string
  readonly hash: string
  readonly directory: string
  options: string
}

/** Of a timer or a release: the instance itself has logged it. */
export function faultOf({ kind, name }: LoadedPlugin['definition'], error: MillraceError): PluginFault {
  const { hook = 'create', message } = error
  const cause = error.cause instanceof Error ? error.cause.message : message
  return { kind, plugin: name, hook, level: 'logged', message, fields: { cause } }
}

export class Instances {
  readonly #deps: PlaneDeps
  #held = new Map<string, Held>()

  constructor(deps: PlaneDeps) {
    this.#deps = deps
  }

  /** @param directory what relative paths of options are taken from */
  draft(directory: string): InstanceDraft {
    return new InstanceDraft(this.#deps, this.#held, directory)
  }

  /** Takes a draft over; returns what to stop when the former snapshot is released. */
  commit(draft: InstanceDraft): PluginInstance[] {
    for (const { held, options, text } of draft.changed) {
      held.options = text
      try {
        held.plugin.reconfigure(options)
      } catch (error) {
        const { kind } = held.plugin.loaded.definition
        const message = `${held.use} failed in reconfigure and keeps its former options`
        const fields = { code: 'MR_PLUGIN_FAULT', plugin: held.use, cause: String(error) }
        this.#deps.pluginFault({
          kind,
          plugin: held.use,
          hook: 'reconfigure',
          level: 'error',
          message,
          fields,
        })
      }
    }
    const kept = new Set([...draft.held.values()].map((held) => held.plugin))
    const over = [...this.#held.values()].map((held) => held.plugin).filter((plugin) => !kept.has(plugin))
    this.#held = draft.held
    return over
  }

  all(): PluginInstance[] {
    return [...this.#held.values()].map((held) => held.plugin)
  }
}

/** Instances of a snapshot that is being prepared. */
export class InstanceDraft {
  readonly held = new Map<string, Held>()
  readonly changed: { held: Held; options: unknown; text: string }[] = []
  readonly #deps: PlaneDeps
  readonly #former: ReadonlyMap<string, Held>
  readonly #directory: string
  readonly #made: PluginInstance[] = []

  constructor(deps: PlaneDeps, former: ReadonlyMap<string, Held>, directory: string) {
    this.#deps = deps
    this.#former = former
    this.#directory = directory
  }

  /** The instance of a use. `fresh`: it was made now. @throws MR_PLUGIN_* */
  async get<K extends ThreadKind>(
    kind: K,
    id: string,
    use: PluginUse,
  ): Promise<{ instance: PluginKinds[K]['instance']; fresh: boolean }> {
    const loaded = this.#deps.registry.find(kind, use.use)
    const text = canonical(use.options)
    const former = this.#former.get(id)
    if (former && former.use === use.use && former.hash === loaded.hash && this.#sameFolder(former)) {
      const instance = former.plugin.instance as PluginKinds[K]['instance']
      if (former.options === text) return this.#keep(id, former, instance)
      if ('reconfigure' in instance && instance.reconfigure !== undefined) {
        const [problem] = optionProblems(loaded.definition, use.options)
        if (problem)
          throw new MillraceError('MR_PLUGIN_OPTIONS', problem.message, { plugin: use.use, path: use.path })
        this.changed.push({ held: former, options: use.options, text })
        return this.#keep(id, former, instance)
      }
    }
    const plugin = await createInstance(
      loaded,
      kind,
      use.options,
      this.#context<K>(loaded as unknown as LoadedPlugin, id, use),
    )
    const kept = plugin as unknown as PluginInstance
    this.#made.push(kept)
    const { hash } = loaded
    this.held.set(id, { plugin: kept, use: use.use, hash, directory: this.#directory, options: text })
    return { instance: plugin.instance as PluginKinds[K]['instance'], fresh: true }
  }

  /** The same relative path is the same file. */
  #sameFolder(former: Held): boolean {
    return former.directory === this.#directory
  }

  #keep<I>(id: string, held: Held, instance: I): { instance: I; fresh: boolean } {
    this.held.set(id, held)
    return { instance, fresh: false }
  }

  #context<K extends ThreadKind>(loaded: LoadedPlugin, id: string, use: PluginUse): InstanceDeps<K> {
    const deps = this.#deps
    return {
      id,
      path: use.path,
      directory: this.#directory,
      clock: deps.clock,
      random: () => deps.random(),
      log: deps.log,
      metrics: deps.pluginMetrics(id, use.use),
      onFault: (error: MillraceError) => deps.pluginFault(faultOf(loaded.definition, error)),
      thread: deps.seat ?? deps.thread,
      threads: deps.threads,
      shared: sharedMemory(loaded, id, (key, bytes, slot) => deps.shared(key, bytes, slot)),
    } as unknown as InstanceDeps<K>
  }

  async discard(): Promise<void> {
    for (const plugin of this.#made.reverse()) await plugin.stop()
  }
}
