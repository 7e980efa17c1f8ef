/**
 * One exchange of a filter through the proxy itself: a listener with nothing but this filter, and a backend, on real sockets of this
 * machine. For tests of what a filter does, beside those of the kit.
 */
import { tmpdir } from 'node:os'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import type { ConfigInput } from '../../core/config/define.ts'
import { loadConfig } from '../../core/config/load.ts'
import { optionsOf } from '../../core/config/uses.ts'
import {
  type Backend,
  definePlugin,
  type ExchangeOutcome,
  type Metrics,
  type PluginDefinition,
} from '../../core/contracts/index.ts'
import { parseOptions } from '../../core/host/options.ts'
import { checkPlugin } from '../../core/host/plugin-shape.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import type { AccessRecord } from '../../core/observe/access-record.ts'
import { ThreadMetrics } from '../../core/observe/thread-metrics.ts'
import { DataPlane } from '../../core/proxy/data-plane.ts'
import type { PlacedService } from '../../core/proxy/thread-snapshot.ts'
import { probeListeners } from '../../core/threads/probe-bind.ts'
import { SharedTable } from '../../core/threads/table.ts'
import {
  type AnswerFor,
  type BackendAnswer,
  type ExchangeRequest,
  type ReceivedAnswer,
  type SeenRequest,
  send,
  startBackend,
} from './exchange-ends.ts'
import { EndingTime, seeded, until } from './time.ts'

export interface ExchangeSetup {
  /** As in the config: the filter's own, and `failOpen` or `deadline` if wanted. Default `{}`. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Default: `GET /`. */
  readonly request?: ExchangeRequest
  /** What the backend answers, always or by what it was sent. Default: 200 with the body `ok`. */
  readonly backend?: BackendAnswer | AnswerFor
  /** Names of further services, for `sendTo` and `mirror`: each has a backend of its own, which answers alike. */
  readonly services?: readonly string[]
  /** How long the exchange may take. Default 10,000. */
  readonly timeoutMs?: number
}

/** A line that the filter logged, or what the proxy said of its faults. */
export interface ExchangeLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface ExchangeResult {
  /** What the client got. */
  readonly client: ReceivedAnswer
  /** What the backend saw; undefined: it was not asked. Of several tries the last. */
  readonly backend: SeenRequest | undefined
  /** All that any backend saw, in order: each try, and what was mirrored. */
  readonly requests: readonly SeenRequest[]
  /** How the exchange ended, as `onDone` was told. */
  readonly outcome: ExchangeOutcome
  /** `MR_…` of an error answer of the proxy's own. */
  readonly errorCode: string | undefined
  readonly log: readonly ExchangeLine[]
  /** What the filter has counted, by name. */
  readonly metrics: Readonly<Record<string, number>>
}

/** The service that the request goes to. */
const mainService = 'app'

/**
 * Sends one request through the filter, to the very end of its exchange, and leaves nothing behind.
 *
 * ```ts
 * const { client, backend } = await exchange(plugin, { request: { headers: { 'x-tenant': 'acme' } } })
 * assert.equal(client.status, 200)
 * assert.equal(backend?.headers['x-tenant'], 'acme')
 * ```
 *
 * @throws MR_PLUGIN_SHAPE, MR_PLUGIN_OPTIONS, MR_PLUGIN_CREATE; what `backend` throws; an error where no answer comes
 */
export async function exchange<S extends StandardSchemaV1>(
  plugin: PluginDefinition<'filter', S>,
  setup: ExchangeSetup = {},
): Promise<ExchangeResult> {
  const { options = {}, request = {}, backend = {}, services = [], timeoutMs = 10_000 } = setup
  checkPlugin(plugin, 'The plugin')
  const kind: string = plugin.kind
  if (kind !== 'filter') throw new TypeError(`exchange runs filters; ${plugin.name} is of kind ${kind}`)
  const use = { ...options, use: plugin.name }
  parseOptions(plugin, optionsOf('filter', use))
  const answer: AnswerFor = typeof backend === 'function' ? backend : () => backend
  const run = new Run()
  try {
    const urls: Record<string, string> = {}
    for (const name of [mainService, ...services]) urls[name] = await run.backend(name, answer)
    const port = await run.serve(plugin as unknown as PluginDefinition<'filter'>, configOf(use, urls))
    const client = await send(port, request, timeoutMs)
    const record = await run.ended(timeoutMs)
    return { client, ...run.told(record) }
  } finally {
    await run.close()
  }
}

function configOf(use: object, urls: Readonly<Record<string, string>>): ConfigInput {
  const services = Object.entries(urls).map(([name, url]) => [
    name,
    {
      ...{ algorithm: onlyBackend.name, breaker: false, health: false, retries: { attempts: 0 } },
      ...{ backends: [url], filters: name === mainService ? [use] : [] },
    },
  ])
  return {
    node: { id: 'conformance', threads: 1 },
    listeners: { web: { address: '127.0.0.1:0' } },
    // Its record says that the exchange is over.
    accessLog: true,
    routes: [{ service: mainService }],
    services: Object.fromEntries(services),
  } as ConfigInput
}

/** There is one backend to a service. */
const onlyBackend = definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'only-backend',
  options: z.strictObject({}),
  create() {
    let backends: readonly Backend[] = []
    return {
      update(view) {
        backends = view.available
      },
      pick: (request) => backends.find((one) => !request.excluded(one)),
    }
  },
})

/** The parts of one exchange, and what they told. */
class Run {
  readonly #releases: (() => Promise<unknown>)[] = []
  readonly #time = new EndingTime()
  readonly #seen: SeenRequest[] = []
  readonly #records: AccessRecord[] = []
  readonly #log: ExchangeLine[] = []
  readonly #metrics: Record<string, number> = {}
  readonly #memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  /** What the author's own `backend` threw. */
  readonly #failures: unknown[] = []
  #plane: DataPlane | undefined

  /** @returns its URL */
  async backend(service: string, answer: AnswerFor): Promise<string> {
    const { url, close } = await startBackend(service, answer, this.#seen, (error) =>
      this.#failures.push(error),
    )
    this.#releases.push(close)
    return url
  }

  /** @returns the port that is listened on */
  async serve(plugin: PluginDefinition<'filter'>, config: ConfigInput): Promise<number> {
    const registry = new PluginRegistry()
    registry.add(builtIn(this.#watched(plugin)))
    registry.add(builtIn(onlyBackend as never))
    const source = { text: JSON.stringify(config), name: 'exchange.json', directory: tmpdir() }
    const { snapshot } = await loadConfig(source, { env: {}, plugins: registry.catalog() })
    const configs = Object.values(snapshot.services)
    // One backend to each service: its slot is the number of the service.
    const services = configs.map((one, index): [string, PlacedService] => [
      one.name,
      { config: one, placement: { index, slots: [index], table: undefined } },
    ])
    const ports = await probeListeners(snapshot.listeners, [], {})
    const plane = this.#planeFor(registry, configs.length)
    plane.commit(await plane.prepare({ ...snapshot, services: new Map(services), ports }))
    return ports.web
  }

  #planeFor(registry: PluginRegistry, count: number): DataPlane {
    const shape = { threads: 1, slots: count, services: count }
    const line =
      (level: ExchangeLine['level']) =>
      (message: string, fields: Record<string, unknown> = {}): void => {
        // Others are of the proxy's own.
        if ('plugin' in fields) this.#log.push({ level, message, fields })
      }
    const log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
    const plane = new DataPlane({
      ...{ thread: 0, threads: 1, clock: this.#time.clock, random: seeded(1), registry, log },
      table: SharedTable.create(shape),
      metrics: ThreadMetrics.attach(ThreadMetrics.create(shape), 0),
      shared: (key, bytes) => this.#shared(key, bytes),
      pluginMetrics: () => this.#counting(),
      pluginFault({ level, message, fields }) {
        if (level !== 'logged') log[level](message, fields)
      },
      accessLog: (record) => void this.#records.push(record),
      ticketKeys: Buffer.alloc(48),
    })
    this.#plane = plane
    this.#releases.push(async () => plane.destroy())
    return plane
  }

  /** The same plugin; when its instances have stopped is known, so that nobody is left waiting in a release. */
  #watched(plugin: PluginDefinition<'filter'>): PluginDefinition<'filter'> {
    return {
      ...plugin,
      create: (context, options) => {
        const stopped = Promise.withResolvers<void>()
        // Releases run in reverse order: this one is the last.
        context.defer(() => stopped.resolve())
        this.#releases.unshift(() => stopped.promise)
        return plugin.create(context, options)
      },
    }
  }

  #shared(key: string, bytes: number): Uint8Array<SharedArrayBuffer> {
    const found = this.#memory.get(key) ?? new Uint8Array(new SharedArrayBuffer((bytes + 7) & ~7))
    this.#memory.set(key, found)
    return found
  }

  #counting(): Metrics {
    const values = this.#metrics
    return {
      counter(name) {
        values[name] ??= 0
        return {
          add(by = 1) {
            values[name] += by
          },
        }
      },
      gauge: (name) => ({
        set(value) {
          values[name] = value
        },
      }),
    }
  }

  /** Waits until the exchange, and what was mirrored of it, is over. */
  ended(timeoutMs: number): Promise<AccessRecord> {
    return until(
      'the end of the exchange',
      () => {
        // What is mirrored has no route, nor has what came to none.
        const record = this.#records.find(({ route }) => route !== '') ?? this.#records[0]
        return this.#plane?.activeExchanges === 0 && record
      },
      timeoutMs,
    )
  }

  told({ service, outcome, errorCode }: AccessRecord): Omit<ExchangeResult, 'client'> {
    if (this.#failures.length > 0) throw this.#failures[0]
    return {
      backend: this.#seen.findLast((one) => one.service === service),
      requests: this.#seen,
      outcome,
      errorCode: errorCode === '' ? undefined : errorCode,
      log: this.#log,
      metrics: this.#metrics,
    }
  }

  async close(): Promise<void> {
    for (const release of this.#releases.reverse()) await release()
    // A hook that never settles has a deadline that nobody waits for.
    this.#time.end()
  }
}
