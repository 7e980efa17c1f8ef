/**
 * The two halves of a config where there is a store: the local file, and what the store holds. Either may change; what is
 * served is always one whole, checked against the plugins that it runs with. One change at a time.
 */
import { checkDynamic } from '../config/dynamic.ts'
import { ConfigError } from '../config/problems.ts'
import type { Config } from '../config/snapshot.ts'
import type { UseResult } from '../config/sync/state.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ApplyResult } from './apply.ts'
import type { LbServer } from './lb-server.ts'
import { type ErrorData, errorData } from './messages.ts'

interface Dynamic {
  readonly data: unknown
  readonly origin: string
}

interface Local {
  readonly config: Config
  readonly registry: PluginRegistry
}

export class Halves {
  readonly #server: Pick<LbServer, 'apply' | 'configUnreadable'>
  /** `node.data`; another one needs a restart. */
  readonly #data: string
  #local: Local
  /** What is served; undefined: nothing yet. */
  #dynamic: Dynamic | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(server: Pick<LbServer, 'apply' | 'configUnreadable'>, local: Local) {
    this.#server = server
    this.#data = local.config.bootstrap.node.data
    this.#local = local
  }

  /** The store's half has changed. Never rejects. */
  useDynamic(data: unknown, origin: string): Promise<UseResult> {
    return this.#next(async () => {
      const dynamic = { data, origin }
      const { status, problems } = await this.#apply(this.#local, dynamic)
      if (status === 'refused') return { status, problems }
      this.#dynamic = dynamic
      return { status: 'used' }
    })
  }

  /** The file, or the code of plugins, has changed. Never rejects. */
  useLocal(config: Config, registry: PluginRegistry): Promise<ApplyResult> {
    return this.#next(async () => {
      const local = { config, registry }
      // Nothing is served yet: the first config that comes is laid over this half.
      const result = this.#dynamic
        ? await this.#apply(local, this.#dynamic)
        : ({ status: 'unchanged', revision: 0, problems: [] } as const)
      if (result.status !== 'refused') this.#local = local
      return result
    })
  }

  async #apply({ config, registry }: Local, { data, origin }: Dynamic): Promise<ApplyResult> {
    try {
      const dynamic = await checkDynamic(data, origin, registry.catalog())
      const snapshot = { ...config.snapshot, ...dynamic, directory: this.#data }
      return await this.#server.apply({ ...config, snapshot }, registry)
    } catch (error) {
      this.#server.configUnreadable()
      return { status: 'refused', revision: 0, problems: problemsOf(error) }
    }
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}

function problemsOf(error: unknown): ErrorData[] {
  if (!(error instanceof ConfigError)) return [errorData(error, 'MR_CONFIG_INVALID')]
  return error.problems.map(({ code, path, message, suggestion }) => ({
    code,
    path,
    message: `${path === '' ? '' : `${path}: `}${message}${suggestion === undefined ? '' : `; ${suggestion}`}`,
  }))
}
