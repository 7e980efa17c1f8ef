/** Clients that keep asking, a few milliseconds after each answer, over connections that they keep. */
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { setTimeout as later } from 'node:timers/promises'
import { release, type Scoped } from './cleanup.ts'

const paceMs = 2

export class Traffic {
  /** Bodies of the answers with 200, in order. */
  readonly heard: string[] = []
  /** Whatever else came of a request. */
  readonly failures: string[] = []
  readonly #agent = new http.Agent({ keepAlive: true })
  readonly #port: number
  #isOver = false
  readonly #clients: Promise<unknown>

  private constructor(port: number, clients: number) {
    this.#port = port
    this.#clients = Promise.all(Array.from({ length: clients }, () => this.#client()))
  }

  static start(port: number, { clients = 4, ...scope }: Scoped & { clients?: number } = {}): Traffic {
    const traffic = new Traffic(port, clients)
    release(scope, () => traffic.stop())
    return traffic
  }

  /** Settles when the last answer is there. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#clients
    this.#agent.destroy()
  }

  async #client(): Promise<void> {
    while (!this.#isOver) {
      try {
        this.heard.push(await this.#ask())
      } catch (error) {
        this.failures.push(String(error))
      }
      await later(paceMs)
    }
  }

  async #ask(): Promise<string> {
    const request = http.get({ host: '127.0.0.1', port: this.#port, agent: this.#agent, timeout: 10_000 })
    request.on('timeout', () => request.destroy(new Error('no answer in 10 s')))
    // Told by the promise, or by the body that ends too soon.
    request.on('error', () => {})
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of answer) text += chunk
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${text}`)
    return text
  }
}
