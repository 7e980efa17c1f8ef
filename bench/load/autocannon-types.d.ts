/** The few members of `autocannon` (which has no types of its own) that the closed loop uses. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'

  interface Client extends EventEmitter {
    readonly conn: Socket
  }
  interface Result {
    readonly start: Date
    readonly finish: Date
    /** Socket errors and timeouts. */
    readonly errors: number
    readonly timeouts: number
  }
  interface Options {
    readonly url: string
    readonly connections: number
    /** Seconds. */
    readonly duration: number
    readonly pipelining: number
    /** Seconds. */
    readonly timeout: number
    readonly method: 'GET' | 'POST'
    readonly body?: string
    readonly headers: Readonly<Record<string, string>>
    /** 0: never. */
    readonly reconnectRate: number
    /** Milliseconds; a run ends with the first sample behind its duration. */
    readonly sampleInt: number
    readonly setupClient: (client: Client) => void
  }
  export default function autocannon(options: Options): Promise<Result>
}
