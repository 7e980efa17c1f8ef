/**
 * One use of a plugin on the main thread. Where the plugin's code throws outside of any hook, nobody knows in what state that
 * left the instance: it is stopped and made anew, after a pause that doubles while this goes on. Nothing else of the process ends.
 */
import type { Log, PluginKind, PluginKinds, Timer } from '../contracts/plugin.ts'
import type { RawClock } from './clock.ts'
import { MillraceError } from './errors.ts'
import type { PluginInstance } from './instance.ts'
import { describeError } from './instance-scope.ts'
import type { LoadedPlugin } from './registry.ts'

const firstPauseMs = 100
const longestPauseMs = 30_000
/** An instance that was there for so long has recovered. */
const stableMs = 60_000

/** What whoever catches the throws of the main thread knows of a use. */
export interface WatchedUse {
  readonly loaded: LoadedPlugin
  /** Why there is no instance now; undefined: there is one. */
  readonly down: string | undefined
  /** The code of its plugin has thrown outside of any hook. */
  threw(): void
}

/** All uses on the main thread of a process, and whose doing it is what runs there. */
export interface MainUses {
  /** @returns takes it off again */
  add(use: WatchedUse): () => void
  /** Runs work of a plugin's: what that leaves running behind it is known to be of this use. */
  inside<T>(use: WatchedUse, work: () => T): T
  /** Runs what a plugin has called, and what is not its own. */
  outside<T>(work: () => T): T
}

export interface MainUseDeps<K extends PluginKind> {
  readonly loaded: LoadedPlugin<K>
  /** Name of the use, for the log. */
  readonly id: string
  readonly clock: Pick<RawClock, 'after'>
  readonly log: Log
  /** Absent: nobody catches throws, and the first instance is the only one. */
  readonly uses?: MainUses
  /**
   * Makes an instance; what one before has held is released by then.
   * @param isCurrent false once it was given up: what it tells from then on is not heard
   */
  make(isCurrent: () => boolean): Promise<PluginInstance<K>>
  /** There is another instance from now on, or the first; undefined: there is none for a while. */
  changed?(instance: PluginKinds[K]['instance'] | undefined, use: MainUse<K>): void
}

/** @throws MR_PLUGIN_* when the first instance cannot be made; nothing is left behind then */
export async function startMainUse<K extends PluginKind>(deps: MainUseDeps<K>): Promise<MainUse<K>> {
  const use = new MainUse(deps)
  try {
    await use.start()
    return use
  } catch (error) {
    await use.stop()
    throw error
  }
}

export class MainUse<K extends PluginKind> implements WatchedUse {
  readonly #deps: MainUseDeps<K>
  readonly #leave: (() => void) | undefined
  #made: PluginInstance<K> | undefined
  /** Of the instance that is heard: there, or being made. */
  #current: object | undefined
  #making = false
  /** While it was being made. */
  #threw = false
  /** Instances that were given up since one has recovered. */
  #inARow = 0
  #down: string | undefined
  #timer: Timer | undefined
  #recovery: Timer | undefined
  #ending: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  /** Use {@link startMainUse}. */
  constructor(deps: MainUseDeps<K>) {
    this.#deps = deps
    this.#leave = deps.uses?.add(this)
  }

  get loaded(): LoadedPlugin {
    return this.#deps.loaded as unknown as LoadedPlugin
  }

  /** undefined while it is to be made anew. */
  get instance(): PluginKinds[K]['instance'] | undefined {
    return this.#made?.instance
  }

  get down(): string | undefined {
    return this.#down
  }

  async start(): Promise<void> {
    await this.#make()
  }

  /** Calls of the instance are made in here. */
  inside<T>(work: () => T): T {
    const { uses } = this.#deps
    return uses ? uses.inside(this, work) : work()
  }

  threw(): void {
    if (this.#stopped) return
    // `create` cannot be ended: what it makes is given up as soon as it is there.
    if (this.#making) this.#threw = true
    else if (this.#made) this.#giveUp(this.#made)
    // Else one that was given up goes on throwing, in a timer that it did not take from `context.clock`.
  }

  /** Ends the instance; none is made any more. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#leave?.()
    this.#timer?.cancel()
    this.#recovery?.cancel()
    this.#down = undefined
    await this.#ending
    const made = this.#made
    if (made) await this.inside(() => made.stop())
  }

  async #make(): Promise<void> {
    const current = {}
    this.#current = current
    this.#threw = false
    this.#making = true
    let made: PluginInstance<K>
    try {
      made = await this.inside(() => this.#deps.make(() => this.#current === current))
    } catch (error) {
      this.#current = undefined
      throw error
    } finally {
      this.#making = false
    }
    if (this.#stopped) {
      await this.inside(() => made.stop())
      return
    }
    this.#made = made
    if (this.#threw) {
      this.#giveUp(made)
      return
    }
    this.#down = undefined
    if (this.#inARow > 0)
      this.#recovery = this.#deps.clock.after(stableMs, () => {
        this.#inARow = 0
      })
    this.#deps.changed?.(made.instance, this)
  }

  #giveUp(made: PluginInstance<K>): void {
    this.#made = undefined
    this.#current = undefined
    this.#recovery?.cancel()
    this.#down = 'its instance is being stopped'
    this.#deps.changed?.(undefined, this)
    this.#ending = this.inside(() => made.stop()).then(() => this.#later())
  }

  #later(): void {
    if (this.#stopped) return
    const ms = Math.min(firstPauseMs * 2 ** this.#inARow++, longestPauseMs)
    this.#down = `its instance was stopped (${this.#inARow} in a row), and is made anew after ${ms} ms`
    this.#deps.log.warn(`${this.#who()} is stopped, and made anew after ${ms} ms`, this.#fields())
    this.#timer = this.#deps.clock.after(ms, () => void this.#again())
  }

  async #again(): Promise<void> {
    const { log } = this.#deps
    try {
      await this.#make()
      if (this.#made) log.info(`${this.#who()} is made anew`, this.#fields())
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : 'MR_PLUGIN_CREATE'
      log.error(`${this.#who()} cannot be made anew: ${describeError(error)}`, { ...this.#fields(), code })
      this.#later()
    }
  }

  #who(): string {
    const { kind, name } = this.loaded.definition
    return `${kind} ${name} (${this.#deps.id})`
  }

  #fields(): Record<string, unknown> {
    const { kind, name } = this.loaded.definition
    return { code: 'MR_PLUGIN_FAULT', kind, plugin: name, use: this.#deps.id }
  }
}
