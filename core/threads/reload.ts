/**
 * Hot reload: on SIGHUP, and when the config, a PEM file, or a plugin's file or what it imports by a relative path changes. A file that is wrong changes nothing, and the log says
 * why; the next change is tried again.
 */
import { realpath } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { bootstrapChanges } from '../config/bootstrap-diff.ts'
import { ConfigError } from '../config/problems.ts'
import type { Config } from '../config/snapshot.ts'
import type { Log } from '../contracts/plugin.ts'
import { type RawClock, systemClock } from '../host/clock.ts'
import { readCode } from '../host/code-hash.ts'
import { MillraceError } from '../host/errors.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ApplyResult } from './apply.ts'
import { FileWatch } from './file-watch.ts'
import type { LbServer } from './lb-server.ts'

/** Something read from a config file: the config, what to watch, and the plugins it was checked against. */
export interface LoadedFile {
  readonly config: Config & { readonly files: readonly string[] }
  readonly registry: PluginRegistry
}

export interface ReloadOptions {
  readonly server: Pick<LbServer, 'apply' | 'configUnreadable' | 'reopenLogs'> &
    Partial<Pick<LbServer, 'runs'>>
  /** What is served now. */
  readonly config: LoadedFile['config']
  /** Reads the file again. @throws ConfigError */
  load(): Promise<LoadedFile>
  readonly log: Log
  readonly clock?: RawClock
  /** Where SIGHUP comes from. */
  readonly signals?: NodeJS.EventEmitter
}

export function startReload(options: ReloadOptions): Reload {
  return new Reload(options)
}

export class Reload {
  readonly #options: ReloadOptions
  readonly #watch: FileWatch
  readonly #signals: NodeJS.EventEmitter
  readonly #hangup = (): void => {
    // What log rotation expects of the signal.
    this.#options.server.reopenLogs()
    void this.now('SIGHUP')
  }
  /** Of the last config that could be read. */
  #files: readonly string[] = []
  #running: Promise<ApplyResult | undefined> | undefined
  #again = false
  #stopped = false

  constructor(options: ReloadOptions) {
    this.#options = options
    this.#watch = new FileWatch({
      clock: options.clock ?? systemClock,
      log: options.log,
      changed: (files) => void this.now(`changed: ${files.join(', ')}`),
    })
    this.#see(options.config)
    void this.#missed()
    this.#signals = options.signals ?? process
    this.#signals.on('SIGHUP', this.#hangup)
  }

  /**
   * Loads and applies; settles when it is done. A change while one is being read is read afterwards, once.
   * @returns undefined when the file was wrong
   */
  now(reason: string): Promise<ApplyResult | undefined> {
    this.#again = true
    this.#running ??= this.#loop(reason)
    return this.#running
  }

  stop(): void {
    this.#stopped = true
    this.#signals.off('SIGHUP', this.#hangup)
    this.#watch.stop()
  }

  /** The file may have changed while the process started, before anybody watched it. */
  async #missed(): Promise<void> {
    const now = await this.#options.load().catch(() => undefined)
    if (now && !this.#stopped) this.#see(now.config, now.registry)
    const same =
      now &&
      isDeepStrictEqual(now.config.snapshot, this.#options.config.snapshot) &&
      this.#options.server.runs?.(now.registry) !== false
    if (!same && !this.#stopped) await this.now('changed while starting')
  }

  async #loop(reason: string): Promise<ApplyResult | undefined> {
    for (let why = reason; ; why = 'changed meanwhile') {
      this.#again = false
      const result = await this.#once(why)
      if (this.#again && !this.#stopped) continue
      // In the same turn as the question: a change that comes now starts a new loop.
      this.#running = undefined
      return result
    }
  }

  async #once(reason: string): Promise<ApplyResult | undefined> {
    const { log, server } = this.#options
    log.info('reload: reading the config', { reason })
    try {
      const { config, registry } = await this.#options.load()
      if (this.#stopped) return undefined
      this.#see(config, registry)
      this.#tellRestarts(config)
      const result = await server.apply(config, registry)
      tell(log, result)
      return result
    } catch (error) {
      // What was watched stays watched, and what is missing too: the next save is tried again.
      const named = error instanceof ConfigError ? error.files : []
      const missing = [...named, ...(await this.#importedNow())]
      if (!this.#stopped) this.#watch.files([...new Set([...this.#files, ...missing])])
      server.configUnreadable()
      const code = error instanceof MillraceError ? error.code : 'MR_CONFIG_INVALID'
      const text = error instanceof Error ? error.message : String(error)
      log.error(`reload: the config is wrong and the old one stays\n${text}`, { code })
      return undefined
    }
  }

  /** What the plugins import as they are: code that does not load may be mended in a file that it did not import before. */
  async #importedNow(): Promise<string[]> {
    const read = this.#files.map(async (file) => [
      ...(await readCode(pathToFileURL(await realpath(file)).href)).files.keys(),
    ])
    const found = await Promise.allSettled(read)
    return found.flatMap((one) =>
      one.status === 'fulfilled' ? one.value.map((url) => fileURLToPath(url)) : [],
    )
  }

  #see(config: LoadedFile['config'], registry?: PluginRegistry): void {
    this.#files = filesOf(config, registry)
    this.#watch.files(this.#files)
  }

  /** What needs a restart is what differs from the process as it was started, not from the last file. */
  #tellRestarts(config: LoadedFile['config']): void {
    const keys = bootstrapChanges(this.#options.config.bootstrap, config.bootstrap)
    if (keys.length === 0) return
    const message = `reload: ${keys.join(', ')} changed; that takes effect only after a restart`
    this.#options.log.warn(message, { code: 'MR_CONFIG_RESTART', keys })
  }
}

/** The config's files, plugin files that it names by path, and what those import. */
function filesOf(config: LoadedFile['config'], registry: PluginRegistry | undefined): string[] {
  const plugins = config.bootstrap.plugins.filter(({ kind }) => kind === 'path')
  const imported = (registry?.list() ?? []).flatMap(({ code }) => [...(code?.files.keys() ?? [])])
  const files = imported.map((url) => fileURLToPath(url))
  return [...new Set([...config.files, ...plugins.map(({ location }) => location), ...files])]
}

function tell(log: Log, result: ApplyResult): void {
  const { revision, status } = result
  if (status === 'refused') {
    const why = result.problems.map(({ code, message }) => `${code} ${message}`).join('\n')
    log.error(`reload: refused, the old config stays\n${why}`, { revision, code: result.problems[0]?.code })
  } else if (status === 'unchanged') log.info('reload: nothing has changed', { revision })
  else log.info(`reload: ${status}`, { revision })
}
