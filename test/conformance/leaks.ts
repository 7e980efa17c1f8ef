/** Finds what a plugin leaves behind: timers (unref'd ones too), sockets, servers, processes, watchers, threads. */
import { AsyncLocalStorage, createHook } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Resources that keep something going. Promises and the like are memory, and the collector's business. */
const lasting = new Set([
  'Timeout',
  'Immediate',
  'TCPWRAP',
  'TCPSERVERWRAP',
  'TLSWRAP',
  'PIPEWRAP',
  'PIPESERVERWRAP',
  'UDPWRAP',
  'PROCESSWRAP',
  'SIGNALWRAP',
  'STATWATCHER',
  'FSEVENTWRAP',
  'MESSAGEPORT',
  'WORKER',
])

interface Resource {
  readonly type: string
  readonly stack: string
}

export class LeakWatch {
  readonly #scope = new AsyncLocalStorage<LeakWatch>()
  readonly #open = new Map<number, Resource>()
  readonly #hook = createHook({
    init: (id, type) => {
      if (lasting.has(type) && this.#scope.getStore() === this)
        this.#open.set(id, { type, stack: new Error().stack ?? '' })
    },
    destroy: (id) => void this.#open.delete(id),
  })

  /** What `work`, and whatever follows from it, makes is watched from now on. */
  run<T>(work: () => T): T {
    this.#hook.enable()
    return this.#scope.run(this, work)
  }

  /** What `work` makes is not the plugin's. */
  outside<T>(work: () => T): T {
    return this.#scope.exit(work)
  }

  /** What is still there, when it has had time to close; empty as soon as nothing is. */
  async left(timeoutMs = 3000): Promise<string[]> {
    const started = performance.now()
    while (this.#open.size > 0 && performance.now() - started < timeoutMs) {
      // The last word of some sockets is the collector's.
      collect()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    this.#hook.disable()
    return [...this.#open.values()].map(({ type, stack }) => `${type} made at ${placeOf(stack)}`)
  }
}

/** The first line of the stack that is neither Node's nor ours. */
function placeOf(stack: string): string {
  const lines = stack.split('\n').slice(1)
  const own = lines.find((line) => !/node:|test\/conformance\/(?:leaks|stage)\.|async_hooks/.test(line))
  return (own ?? lines.at(-1) ?? '').trim().replace(/^at /, '')
}

/** Collects all garbage; node need not have been started with --expose-gc. */
export function collect(): void {
  if (globalThis.gc === undefined) {
    setFlagsFromString('--expose-gc')
    globalThis.gc = runInNewContext('gc') as typeof globalThis.gc
  }
  globalThis.gc?.()
}
