import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface ReloadLoad {
  readonly done: number
  /** The first hundred. */
  readonly failures: readonly string[]
  stop(): Promise<void>
}

const clients = 12

/**
 * Clients that ask over kept connections, some over new ones; half of them send a body, which cannot be sent twice.
 * @param knows whether an answer may carry this stamp
 */
export function startReloadLoad(port: number, knows: (stamp: string) => boolean): ReloadLoad {
  const failures: string[] = []
  const startedAt = performance.now()
  const kept = new Agent({ keepAlive: true, maxSockets: clients })
  let done = 0
  let over = false
  const ask = async (n: number): Promise<void> => {
    const agent = n % 4 === 0 ? new Agent() : kept
    while (!over) {
      const wrong = await once(port, agent, n % 2 === 0 ? 'x'.repeat(2000) : '', knows)
      done++
      const second = ((performance.now() - startedAt) / 1000).toFixed(1)
      if (wrong !== undefined && failures.length < 100) failures.push(`at ${second} s: ${wrong}`)
      await delay(2)
    }
  }
  const all = Promise.all(Array.from({ length: clients }, (_, n) => ask(n)))
  return {
    failures,
    get done() {
      return done
    },
    async stop() {
      over = true
      await all
      kept.destroy()
    },
  }
}

/** What was wrong with one request; undefined: nothing. */
function once(
  port: number,
  agent: Agent,
  body: string,
  knows: (stamp: string) => boolean,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const method = body === '' ? 'GET' : 'POST'
    const sent = request({ host: '127.0.0.1', port, agent, method, timeout: 20_000 }, (answer) => {
      let text = ''
      answer.on('data', (chunk) => (text += chunk))
      answer.on('error', (error) => resolve(error.message))
      answer.on('end', () => {
        const stamp = String(answer.headers['x-stamp'])
        if (answer.statusCode !== 200) resolve(`status ${answer.statusCode}: ${text}`)
        else if (text !== `got ${body.length}`) resolve(`the body was ${text}`)
        else resolve(knows(stamp) ? undefined : `the stamp was ${stamp}`)
      })
    })
    sent.on('timeout', () => sent.destroy(new Error('no answer within 20 s')))
    sent.on('error', (error) => resolve(error.message))
    sent.end(body)
  })
}
