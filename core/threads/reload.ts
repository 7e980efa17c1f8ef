/**
 * Hot reload: on SIGHUP, and when the config or a PEM file changes. A file that is wrong changes nothing, and the log says
 * why; the next change is tried again.
 */
import { bootstrapChanges } from '../config/bootstrap-diff.ts'
import type { Config } from '../config/snapshot.ts'
import type { Log } from '../contracts/plugin.ts'
import { type RawClock, systemClock } from '../host/clock.ts'
import { MillraceError } from '../host/errors.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ApplyResult } from './apply.ts'
import { FileWatch } from './file-watch.ts'

/** Something read from a config file: the config, what to watch, and the plugins it was checked against. */
export interface LoadedFile {
  readonly config: Config & { readonly files: readonly string[] }
  readonly registry: PluginRegistry
}

export interface ReloadOptions {
  readonly server: { apply(config: Config, registry?: PluginRegistry): Promise<ApplyResult> }
  /** What is served now. */
  readonly config: LoadedFile['config']
  /** Reads the file again. @throws ConfigError */
  load(): Promise<LoadedFile>
  readonly log: Log
  readonly clock?: RawClock
  /** Where SIGHUP comes from. */
  readonly signals?: NodeJS.EventEmitter
}

export interface Reload {
  /** Loads and applies now; settles when it is done. */
  now(reason: string): Promise<ApplyResult | undefined>
  stop(): void
}

export function startReload(options: ReloadOptions): Reload {
  const { log, server } = options
  const signals = options.signals ?? process
  // What needs a restart is compared with what the process was started with, not with the last file.
  const started = options.config.bootstrap
  let running: Promise<ApplyResult | undefined> | undefined
  let again = false

  const once = async (reason: string): Promise<ApplyResult | undefined> => {
    log.info('reload: reading the config', { reason })
    try {
      const { config, registry } = await options.load()
      watch.files(config.files)
      const keys = bootstrapChanges(started, config.bootstrap)
      if (keys.length > 0) {
        const message = `reload: ${keys.join(', ')} changed; that takes effect only after a restart`
        log.warn(message, { code: 'MR_CONFIG_RESTART', keys })
      }
      const result = await server.apply(config, registry)
      tell(log, result)
      return result
    } catch (error) {
      // The files of the last good config stay watched: the next save is tried again.
      const code = error instanceof MillraceError ? error.code : 'MR_CONFIG_INVALID'
      const text = error instanceof Error ? error.message : String(error)
      log.error(`reload: the config is wrong and the old one stays\n${text}`, { code })
      return undefined
    }
  }

  const loop = async (reason: string): Promise<ApplyResult | undefined> => {
    for (let why = reason; ; why = 'changed meanwhile') {
      again = false
      const result = await once(why)
      if (!again) return result
    }
  }

  /** A change while one is being read is read afterwards, once. */
  const now = (reason: string): Promise<ApplyResult | undefined> => {
    again = true
    running ??= loop(reason).finally(() => {
      running = undefined
    })
    return running
  }

  const watch = new FileWatch({
    clock: options.clock ?? systemClock,
    log,
    changed: (files) => void now(`changed: ${files.join(', ')}`),
  })
  watch.files(options.config.files)
  const hangup = (): void => void now('SIGHUP')
  signals.on('SIGHUP', hangup)
  return {
    now,
    stop() {
      signals.off('SIGHUP', hangup)
      watch.stop()
    },
  }
}

function tell(log: Log, result: ApplyResult): void {
  const { revision, status } = result
  if (status === 'refused') {
    const why = result.problems.map(({ code, message }) => `${code} ${message}`).join('\n')
    log.error(`reload: refused, the old config stays\n${why}`, { revision, code: result.problems[0]?.code })
  } else if (status === 'unchanged') log.info('reload: nothing has changed', { revision })
  else log.info(`reload: ${status}`, { revision })
}
