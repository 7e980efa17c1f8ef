/**
 * Whether a config can start: every instance that a data thread would make of it is made once, on the thread where plugin code is
 * tried, and stopped again. Kinds of the main thread are left out: a store, a sync or a health source would connect.
 */
import type { PluginSource } from '../config/snapshot.ts'
import type { Algorithm, Member } from '../contracts/algorithm.ts'
import { type AnyPlugin, type ThreadKind, threadKinds } from '../contracts/plugin.ts'
import type { CodeFiles } from '../host/code-hash.ts'
import type { MillraceError } from '../host/errors.ts'
import { createInstance } from '../host/instance.ts'
import { loadPlugin } from '../host/loader.ts'
import { parseOptions } from '../host/options.ts'
import { builtIn, type LoadedPlugin } from '../host/registry.ts'
import { scratchThreadDeps } from '../host/scratch-context.ts'
import { tryUpdate } from '../proxy/trial-view.ts'
import { buildTable, memberOf } from './placement.ts'
import type { LoadedFile } from './reload.ts'
import { everyUse } from './shared-keys.ts'

/** One use. Cloneable. */
export interface Trial {
  readonly kind: ThreadKind
  readonly name: string
  readonly id: string
  readonly path: string
  readonly options: unknown
  readonly directory: string
  readonly threads: number
  /** Of the service, for the table of an algorithm. */
  readonly members: readonly Member[]
  readonly source: 'built-in' | PluginSource
  /** The text of a plugin that is named by its path. */
  readonly code?: CodeFiles
  /** Module that exports `builtins`. */
  readonly builtinsUrl: string
}

/** Whoever makes them: the thread where plugin code is tried. */
export interface TrialRoom {
  try(trial: Trial): Promise<MillraceError | undefined>
}

/** @returns what is wrong, in the order of the config; where a plugin does not come to an end, its other uses are left out */
export async function tryUses(
  { config, registry }: LoadedFile,
  room: TrialRoom,
  builtinsUrl: URL,
): Promise<MillraceError[]> {
  const { snapshot, bootstrap } = config
  const problems: MillraceError[] = []
  const hanging = new Set<LoadedPlugin>()
  for (const { kind, id, use, service } of everyUse(snapshot)) {
    const loaded = registry.find(kind, use.use)
    if (!threadKinds.includes(kind) || hanging.has(loaded)) continue
    const problem = await room.try({
      ...{ kind: kind as ThreadKind, name: use.use, id, path: use.path, options: use.options },
      directory: snapshot.directory,
      threads: bootstrap.node.threads,
      members: kind === 'algorithm' ? (service?.backends ?? []).map(memberOf) : [],
      source: loaded.source,
      code: loaded.code,
      builtinsUrl: builtinsUrl.href,
    })
    if (problem) problems.push(problem)
    if (problem?.code === 'MR_PLUGIN_TIMEOUT') hanging.add(loaded)
  }
  return problems
}

/**
 * The plugin of a trial, in the thread that makes it.
 * @param load for text
 * @throws MR_PLUGIN_*
 */
export async function trialPlugin(
  { kind, name, source, code, builtinsUrl }: Trial,
  load: (task: { readonly source: PluginSource; readonly code: CodeFiles }) => Promise<LoadedPlugin>,
): Promise<LoadedPlugin> {
  if (source !== 'built-in') return code ? load({ source, code }) : loadPlugin(source)
  const { builtins } = (await import(builtinsUrl)) as { builtins: readonly AnyPlugin[] }
  const found = builtins.find((one) => one.kind === kind && one.name === name)
  if (found) return builtIn(found)
  throw new TypeError(`no built-in ${kind} is called ${name}`)
}

/** Makes the instance, and the table where there is one, shows it the backends, and leaves nothing. @throws MR_PLUGIN_* */
export async function tryUse(loaded: LoadedPlugin, trial: Trial): Promise<void> {
  const { kind, id, path, options, directory, threads, members } = trial
  const deps = scratchThreadDeps({ id, path, directory, trial: true }, threads)
  const made = await createInstance(loaded as unknown as LoadedPlugin<ThreadKind>, kind, options, deps)
  const { definition } = loaded
  try {
    if (definition.kind !== 'algorithm') return
    const raw =
      definition.buildTable && buildTable(definition, members, parseOptions(definition, options, path), path)
    const table = raw && sharedCopy(raw)
    const backends = members.map((member, slot) => ({ ...member, slot, id: `${id}/${member.url}` }))
    tryUpdate(made, made.instance as Algorithm, { backends, table })
  } finally {
    await made.stop()
  }
}

function sharedCopy(table: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(table.byteLength))
  copy.set(table)
  return copy
}
