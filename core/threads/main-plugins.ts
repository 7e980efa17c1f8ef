/**
 * Plugins of the main thread, where nobody catches what they throw outside of their hooks: in a raw timer, in an event handler, in a
 * rejection without a handler. The stack says whose code it was; where it names no file (the error of a socket that nobody listens to), the
 * asynchronous context says who has begun it. That plugin's instances are made anew, and the process goes on; what no plugin has
 * to answer for is not caught.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { fileURLToPath } from 'node:url'
import { type Clock, type Log, type PluginKind, threadKinds } from '../contracts/plugin.ts'
import type { MainUses, WatchedUse } from '../host/main-use.ts'
import type { LoadedPlugin } from '../host/registry.ts'
import { withoutVersions } from '../host/resolver.ts'
import { blame, codeUrl, isOfThePlatform, toldOf } from './blame.ts'
import { FaultLines } from './fault-lines.ts'

export interface MainPluginsDeps {
  readonly clock: Pick<Clock, 'after'>
  readonly log: Log
}

export class MainPlugins implements MainUses {
  readonly #lines: FaultLines
  readonly #uses = new Set<WatchedUse>()
  /** What may run here, by version: also what was replaced, for its timers may be left. */
  readonly #known = new Map<string, LoadedPlugin>()
  /** Whose doing it is that runs now. */
  readonly #context = new AsyncLocalStorage<WatchedUse | undefined>()
  #counted: (plugin: LoadedPlugin, message: string) => void = () => {}

  constructor({ clock, log }: MainPluginsDeps) {
    this.#lines = new FaultLines(clock, log)
  }

  /** @param counted told of each throw that a plugin has to answer for */
  count(counted: (plugin: LoadedPlugin, message: string) => void): void {
    this.#counted = counted
  }

  add(use: WatchedUse): () => void {
    this.#uses.add(use)
    return () => void this.#uses.delete(use)
  }

  inside<T>(use: WatchedUse, work: () => T): T {
    return this.#context.run(use, work)
  }

  outside<T>(work: () => T): T {
    return this.#context.run(undefined, work)
  }

  /** Of these, some run on this thread: the process kinds, and whatever a package does when it is imported. */
  know(plugins: readonly LoadedPlugin[]): void {
    for (const { code: _text, ...loaded } of plugins) {
      const { kind, name } = loaded.definition
      const isHere =
        !threadKinds.includes(kind) || (loaded.source !== 'built-in' && loaded.source.kind === 'package')
      if (isHere) this.#known.set(`${kind} ${name} ${loaded.hash}`, loaded)
    }
  }

  /** Why a plugin has no instance now; undefined: it has. */
  down(kind: PluginKind, name: string): string | undefined {
    for (const { loaded, down } of this.#uses)
      if (down !== undefined && loaded.definition.kind === kind && loaded.definition.name === name)
        return down
    return undefined
  }

  /**
   * Somebody threw, and nobody caught it. To be called in the asynchronous context of that.
   * @returns false: it was no plugin. Then nothing was done
   */
  threw(error: unknown): boolean {
    const { stack, message } = toldOf(error)
    const begunBy = isOfThePlatform(stack) ? this.#context.getStore()?.loaded : undefined
    // The throw has left the context as it was; what comes next in this turn may be anybody's.
    this.#context.enterWith(undefined)
    const known = [...[...this.#uses].map((use) => use.loaded), ...this.#known.values()]
    const loaded = begunBy ?? blame(stack, known)
    if (loaded) this.#blamed(loaded, stack, message)
    else if (!this.#isCode(stack, message)) return false
    return true
  }

  /** Lines that were left out are told, and no timer stays. */
  stop(): void {
    this.#lines.stop()
  }

  #blamed(loaded: LoadedPlugin, stack: string, message: string): void {
    const { kind, name } = loaded.definition
    const fields = { code: 'MR_PLUGIN_FAULT', kind, plugin: name, version: loaded.hash }
    const line = `main thread: ${kind} ${name} threw outside of any hook: ${message}`
    const where = `${kind} ${name} outside of any hook`
    this.#lines.write(where, 'error', line, { ...fields, stack: withoutVersions(stack) })
    this.#counted(loaded, message)
    for (const use of [...this.#uses]) if (isSame(use.loaded, loaded)) use.threw()
  }

  /** Code of a version that was never taken: it threw while it was tried, or the config with it was refused. */
  #isCode(stack: string, message: string): boolean {
    const url = codeUrl(stack)
    if (url === undefined) return false
    const file = fileURLToPath(withoutVersions(url))
    const line = `main thread: plugin code of ${file} threw outside of any hook: ${message}`
    const fields = { code: 'MR_PLUGIN_FAULT', file, stack: withoutVersions(stack) }
    this.#lines.write(`${file} outside of any hook`, 'error', line, fields)
    return true
  }
}

function isSame(a: LoadedPlugin, b: LoadedPlugin): boolean {
  return (
    a.hash === b.hash && a.definition.kind === b.definition.kind && a.definition.name === b.definition.name
  )
}
