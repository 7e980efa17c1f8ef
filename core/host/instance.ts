/** One use of a plugin: from its options to its release. */
import type { PluginContext, PluginDefinition, PluginKind, PluginKinds } from '../contracts/plugin.ts'
import type { RawClock } from './clock.ts'
import { placeInPlugin } from './error-place.ts'
import type { MillraceError } from './errors.ts'
import { describeError, InstanceScope, LateError, within } from './instance-scope.ts'
import { checkInstance } from './instance-shape.ts'
import { parseOptions } from './options.ts'
import type { LoadedPlugin } from './registry.ts'

/** What an instance is made of; the host adds attribution, cancellation and release. */
export type InstanceDeps<K extends PluginKind = PluginKind> = {
  /** Unique name of the use, e.g. `service/api/algorithm`. */
  readonly id: string
  /** Where the use stands in the config, for errors. */
  readonly path?: string
  /** Folder that relative paths of the options are taken from; absent: the working directory. */
  readonly directory?: string
  /** Absent: the instance is there to work. */
  readonly trial?: boolean
  readonly clock: RawClock
  random(): number
  /** Lines get the fields kind, plugin and use. */
  readonly log: PluginContext['log']
  readonly metrics: PluginContext['metrics']
  /** Told of every fault outside `create` and the hooks (timers, releases), after it was logged. */
  onFault?(error: MillraceError): void
} & Omit<PluginKinds[K]['context'], keyof PluginContext>

export interface PluginInstance<K extends PluginKind = PluginKind> {
  readonly instance: PluginKinds[K]['instance']
  readonly id: string
  readonly loaded: LoadedPlugin<K>
  /**
   * Hands new options to the running instance.
   * @returns false when the plugin has no `reconfigure`: make a new instance
   * @throws MR_PLUGIN_OPTIONS before the instance has seen anything, MR_PLUGIN_FAULT when `reconfigure` threw
   */
  reconfigure(options: unknown): boolean
  /** Calls a hook ahead of its time. @throws MR_PLUGIN_FAULT with the place, when the hook does */
  attempt(hook: string, call: () => void): void
  /** Ends everything the instance was given. Idempotent; never rejects: faults are logged. */
  stop(): Promise<void>
}

const createTimeoutMs = 10_000

/**
 * Makes one instance. When anything goes wrong, whatever was deferred has been released before the promise rejects.
 *
 * @param options raw, slot keys taken out
 * @throws MR_PLUGIN_OPTIONS, MR_PLUGIN_CREATE, MR_PLUGIN_TIMEOUT (10 s), MR_PLUGIN_SHAPE
 */
export async function createInstance<K extends PluginKind>(
  loaded: LoadedPlugin<K>,
  kind: K,
  options: unknown,
  deps: InstanceDeps<K>,
): Promise<PluginInstance<K>> {
  const plugin = loaded as unknown as LoadedPlugin
  const definition = loaded.definition as unknown as PluginDefinition<K>
  const parsed = parseOptions(definition, options, deps.path)
  const scope = new InstanceScope(kind, definition.name, deps)
  const { path: _path, directory: _directory, onFault: _onFault, ...given } = deps
  const context = { ...given, ...scope.context } as unknown as PluginKinds[K]['context']
  let instance: PluginKinds[K]['instance']
  try {
    instance = await within(deps.clock, createTimeoutMs, () => definition.create(context, parsed)).catch(
      (error: unknown) => {
        throw createError(scope, error, plugin)
      },
    )
    checkInstance(kind, instance, (message) => scope.error('MR_PLUGIN_SHAPE', message, 'create'))
  } catch (error) {
    await scope.stop()
    throw error
  }
  return {
    instance,
    id: deps.id,
    loaded,
    reconfigure: (next) => reconfigure(scope, plugin, instance, next, deps.path),
    attempt(hook, call) {
      try {
        call()
      } catch (error) {
        throw scope.error('MR_PLUGIN_FAULT', `threw: ${thrownIn(plugin, error)}`, hook, error)
      }
    },
    stop: () => scope.stop(),
  }
}

function createError(scope: InstanceScope, error: unknown, loaded: LoadedPlugin): MillraceError {
  if (error instanceof LateError) {
    return scope.error('MR_PLUGIN_TIMEOUT', `did not finish in ${createTimeoutMs / 1000} s`, 'create')
  }
  return scope.error('MR_PLUGIN_CREATE', `threw: ${thrownIn(loaded, error)}`, 'create', error)
}

/** `gate.ts:7: what was thrown`; without the place where the stack shows none of the plugin's own. */
function thrownIn(loaded: LoadedPlugin, error: unknown): string {
  const place = placeInPlugin(error, loaded)
  return place === undefined ? describeError(error) : `${place}: ${describeError(error)}`
}

function reconfigure(
  scope: InstanceScope,
  loaded: LoadedPlugin,
  instance: object,
  options: unknown,
  path: string | undefined,
): boolean {
  const target = instance as { reconfigure?(options: unknown): void }
  if (!target.reconfigure) return false
  const parsed = parseOptions(loaded.definition, options, path)
  try {
    target.reconfigure(parsed)
  } catch (error) {
    throw scope.error('MR_PLUGIN_FAULT', `threw: ${thrownIn(loaded, error)}`, 'reconfigure', error)
  }
  return true
}
