/** Leases on a Redis server, each step one script there: those of the config store, and the locks of the plugin `redis`. */
import { randomUUID } from 'node:crypto'
import type { Clock, Lease } from 'millrace'
import { HeldLease, Holdings } from './held-lease.ts'
import type { Answer } from './redis-link.ts'
import { checkTtl } from './redis-records.ts'
import { type Script, scripts } from './redis-scripts.ts'
import { checkLease } from './store-checks.ts'

export type Argument = string | number | Buffer
/** Arguments, or what makes them at the moment when they are sent. */
export type Arguments = readonly Argument[] | (() => readonly Argument[])

export const argumentsOf = (given: Arguments): readonly Argument[] =>
  typeof given === 'function' ? given() : given

/** The server. Keys are without their prefix. */
export interface LeaseServer {
  readonly clock: Pick<Clock, 'now'>
  /** Fires when nobody may act on these leases any more. */
  readonly signal: AbortSignal
  /** Which run of its process answers; '' where that is not known. */
  runId(): string
  run<T>(script: Script, keys: readonly string[], given: Arguments): Promise<Answer<T>>
  /** As `run`, for what replicas have to have. @param wrote whether the answer is of a write */
  write<T>(
    script: Script,
    keys: readonly string[],
    given: Arguments,
    wrote: (reply: T) => boolean,
  ): Promise<Answer<T>>
}

const keysOf = (name: string): readonly string[] => ['meta', 'leases', `lease:${name}`]

export class RedisLeases {
  readonly #server: LeaseServer
  readonly #holdings = new Holdings()

  constructor(server: LeaseServer) {
    this.#server = server
  }

  /** As `lease` of a config store. */
  async take(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    checkLease(name, holder, ttlMs)
    checkTtl(name, ttlMs)
    const server = this.#server
    for (;;) {
      const { reply, sentAt } = await server.write<Buffer[]>(
        scripts.lease,
        keysOf(name),
        () => [
          name,
          holder,
          Math.ceil(ttlMs),
          randomUUID(),
          server.runId(),
          this.#holdings.givenBack(name) ?? '',
        ],
        (given) => given.length > 0,
      )
      if (reply.length === 0) return undefined
      const token = { number: Number(reply[0]), lineage: reply[1].toString() }
      // Released while this was on its way: that finds the token, and ends what was just extended.
      if (token.number === this.#holdings.givenBack(name)) continue
      const holding = this.#holdings.take(name, token, server.clock.now())
      const calls = {
        renew: () => this.#renew(name, holder, ttlMs, token.number),
        release: async () => {
          await server.run(scripts.release, keysOf(name), [name, holder, token.number])
        },
      }
      return new HeldLease(
        { name, holder, token, ttlMs },
        server.clock,
        sentAt,
        calls,
        server.signal,
        holding,
      )
    }
  }

  async #renew(name: string, holder: string, ttlMs: number, token: number): Promise<number | false> {
    const given = [name, holder, Math.ceil(ttlMs), token]
    const { reply, sentAt } = await this.#server.write<number>(
      scripts.renew,
      keysOf(name),
      given,
      (done) => done === 1,
    )
    return reply === 1 && sentAt
  }
}
