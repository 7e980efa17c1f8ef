import {
  definePlugin,
  type HealthContext,
  type HealthResult,
  type HealthSource,
  type HealthTarget,
  type Timer,
  z,
} from 'millrace'
import {
  loadUndici,
  type ProbeClient,
  probe,
  probeClient,
  reasonOf,
  type Undici,
} from '../lib/probe-request.ts'
import { includesStatus, statuses } from '../lib/statuses.ts'

const options = z.strictObject({
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, 'path must begin with / and hold no spaces')
    .default('/')
    .describe('Path and query that are asked for'),
  port: z
    .number()
    .int()
    .min(1)
    .max(65535)
    .optional()
    .describe("Port to probe instead of the backend's own. Not for unix sockets"),
  method: z.enum(['GET', 'HEAD', 'OPTIONS']).default('GET').describe('Method of the probes'),
  host: z
    .string()
    .regex(/^[A-Za-z0-9.\-_:[\]]+$/, 'host must be a host name, with a port where needed')
    .optional()
    .describe('Host header; absent: the address that is probed'),
  status: statuses
    .prefault('200-299')
    .describe('Statuses that mean up: 200, 200-299, or a list of these. Redirects are not followed'),
  keepAlive: z
    .boolean()
    .default(false)
    .describe(
      'Probe over one kept connection instead of a new one each time: cheaper, but blind to a full accept queue',
    ),
})
type Options = z.output<typeof options>

interface Deps {
  readonly undici: Undici
  readonly context: HealthContext
  readonly options: Options
}

/** Probes one target for as long as it is watched: one probe at a time, started an interval apart. */
class Watch {
  private readonly deps: Deps
  private target: HealthTarget
  private readonly stopped = new AbortController()
  private timer: Timer
  private client: ProbeClient | undefined

  constructor(deps: Deps, target: HealthTarget) {
    this.deps = deps
    this.target = target
    // Anywhere in the first interval: targets, and instances of a fleet, must not be probed in step.
    const { context } = deps
    this.timer = context.clock.after(context.random() * context.intervalMs, () => this.run())
  }

  /** The same target with other settings; its schedule stays. */
  retarget(target: HealthTarget): void {
    if (target.tls !== this.target.tls) this.dropClient()
    this.target = target
  }

  stop(): void {
    this.stopped.abort(new Error('stopped'))
    this.timer.cancel()
    this.dropClient()
  }

  private run(): void {
    const { context } = this.deps
    const started = context.clock.now()
    this.probe(started).then((result) => {
      if (this.stopped.signal.aborted) return
      context.report(this.target.id, result)
      const rest = context.intervalMs - (context.clock.now() - started)
      this.timer = context.clock.after(Math.max(0, rest), () => this.run())
    })
  }

  /** Never rejects: whatever goes wrong is the result. */
  private async probe(started: number): Promise<HealthResult> {
    const { context, options } = this.deps
    const late = new AbortController()
    const deadline = context.clock.after(context.timeoutMs, () => {
      // A loop that stalled runs its timers first: bytes that have come in the meantime are read before this.
      setImmediate(() => late.abort(new Error(`timeout after ${context.timeoutMs}ms`)))
    })
    try {
      const client = this.connect()
      const signal = AbortSignal.any([late.signal, this.stopped.signal])
      const status = await probe(client, options, signal)
      const ms = context.clock.now() - started
      return { up: includesStatus(options.status, status), reason: `status ${status}`, ms }
    } catch (error) {
      this.dropClient()
      return { up: false, reason: reasonOf(error), ms: context.clock.now() - started }
    } finally {
      deadline.cancel()
      if (!options.keepAlive) this.dropClient()
    }
  }

  private connect(): ProbeClient {
    const { undici, options } = this.deps
    this.client ??= probeClient(undici, this.target.url, options.port, this.target.tls)
    return this.client
  }

  private dropClient(): void {
    const client = this.client
    this.client = undefined
    // Rejects only what was under way, which has its result already.
    client?.destroy().catch(() => {})
  }
}

function create(deps: Deps): HealthSource {
  const watches = new Map<string, Watch>()
  deps.context.defer(() => {
    for (const watch of watches.values()) watch.stop()
    watches.clear()
  })
  return {
    update(targets) {
      const ids = new Set(targets.map(({ id }) => id))
      for (const [id, watch] of watches) {
        if (ids.has(id)) continue
        watch.stop()
        watches.delete(id)
      }
      for (const target of targets) {
        const watch = watches.get(target.id)
        if (watch) watch.retarget(target)
        else watches.set(target.id, new Watch(deps, target))
      }
    },
  }
}

/** Asks each backend by HTTP, an interval apart; up when the status is one of those expected. */
export default definePlugin({
  api: 1,
  kind: 'health-source',
  name: 'http-probe',
  description: 'Asks each backend by HTTP and looks at the status.',
  options,
  create: async (context, parsed) => create({ undici: await loadUndici(), context, options: parsed }),
})
