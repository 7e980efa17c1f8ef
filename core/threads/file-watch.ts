/**
 * Watches files through their folders: editors and orchestrators write a new file and rename it over the old one, or turn a
 * symbolic link, and a watch on the file itself would then look at the old one for ever. An event only says "look": what
 * counts is whether a file's identity, size or time has changed.
 */
import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'
import type { Log } from '../contracts/plugin.ts'
import type { RawClock, RawTimer } from '../host/clock.ts'

/** A save is several events; the file is read when they have been over for so long. */
const settleMs = 100
/** But no later than this after the first one. */
const longestMs = 1000
/** A folder that cannot be watched (any more) is tried again. */
const retryMs = 2000

export interface FileWatchDeps {
  readonly clock: RawClock
  readonly log: Log
  changed(files: readonly string[]): void
}

export class FileWatch {
  readonly #deps: FileWatchDeps
  /** File → what it looked like. */
  #files = new Map<string, string>()
  readonly #folders = new Map<string, FSWatcher | undefined>()
  #settle: RawTimer | undefined
  #latest: RawTimer | undefined
  #retry: RawTimer | undefined
  #stopped = false

  constructor(deps: FileWatchDeps) {
    this.#deps = deps
  }

  /** From now on these are watched, and no others. Files that stay keep what they looked like. */
  files(paths: readonly string[]): void {
    if (this.#stopped) return
    this.#files = new Map(paths.map((path) => [path, this.#files.get(path) ?? look(path)]))
    const folders = new Set(paths.flatMap((path) => [dirname(path), dirname(behind(path))]))
    for (const [folder, watcher] of this.#folders) {
      if (folders.has(folder)) continue
      watcher?.close()
      this.#folders.delete(folder)
    }
    for (const folder of folders) if (!this.#folders.get(folder)) this.#watch(folder)
  }

  stop(): void {
    this.#stopped = true
    for (const watcher of this.#folders.values()) watcher?.close()
    this.#folders.clear()
    for (const timer of [this.#settle, this.#latest, this.#retry]) timer?.cancel()
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false })
      watcher.on('change', () => this.#event())
      watcher.on('error', (error) => this.#lost(folder, error))
      this.#folders.set(folder, watcher)
    } catch (error) {
      this.#lost(folder, error as Error)
    }
  }

  #lost(folder: string, error: Error): void {
    const known = this.#folders.has(folder) && this.#folders.get(folder) === undefined
    this.#folders.get(folder)?.close()
    this.#folders.set(folder, undefined)
    if (!known) this.#deps.log.warn('cannot watch a folder for changes', { folder, error: error.message })
    this.#retry ??= this.#deps.clock.after(retryMs, () => {
      this.#retry = undefined
      for (const [path, watcher] of this.#folders) if (!watcher) this.#watch(path)
      this.#look()
    })
  }

  #event(): void {
    if (this.#stopped) return
    this.#settle?.cancel()
    this.#settle = this.#deps.clock.after(settleMs, () => this.#look())
    this.#latest ??= this.#deps.clock.after(longestMs, () => this.#look())
  }

  #look(): void {
    this.#settle?.cancel()
    this.#latest?.cancel()
    this.#settle = undefined
    this.#latest = undefined
    const changed: string[] = []
    for (const [path, before] of this.#files) {
      const after = look(path)
      if (after === before) continue
      this.#files.set(path, after)
      changed.push(path)
    }
    if (changed.length > 0) this.#deps.changed(changed)
  }
}

/** The file that symbolic links lead to: it may be written where it lies, in a folder of its own. */
function behind(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** Identity, size and times of what the path leads to; empty when there is nothing. */
function look(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stats ? `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}` : ''
}
