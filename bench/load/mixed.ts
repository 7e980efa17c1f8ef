import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type ClientContext, clients } from './mixed-clients.ts'

export interface MixedLoad {
  /** Acts that ended well, by kind of client. */
  readonly counts: Record<string, number>
  /** What went wrong for clients that behaved; the first hundred, with the second they happened. */
  readonly failures: string[]
  /** Ends all clients and closes their connections. */
  stop(): Promise<void>
}

/** Starts every kind of client against a proxy; each does one thing after another with a short rest between. */
export function startMixedLoad(port: number, random: () => number): MixedLoad {
  const counts: Record<string, number> = {}
  const failures: string[] = []
  const ending = new AbortController()
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const startedAt = performance.now()
  const context: ClientContext = { port, agent, random, signal: ending.signal }
  const run = async (kind: string): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        await clients[kind].act(context)
        counts[kind] = (counts[kind] ?? 0) + 1
      } catch (error) {
        const second = ((performance.now() - startedAt) / 1000).toFixed(1)
        if (failures.length < 100) failures.push(`${kind} at ${second} s: ${(error as Error).message}`)
      }
      await delay(1 + random() * 9)
    }
  }
  const running = Object.entries(clients).flatMap(([kind, { count }]) =>
    Array.from({ length: count }, () => run(kind)),
  )
  return {
    counts,
    failures,
    async stop() {
      ending.abort()
      await Promise.all(running)
      agent.destroy()
    },
  }
}
