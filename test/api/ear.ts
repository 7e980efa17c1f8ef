/** Listens to `/v1/events`, for a test. */
import { expect, onTestFinished } from 'vitest'
import { until } from '../harness/until.ts'
import { type Api, tokens } from './harness.ts'

interface Heard {
  readonly id: string
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever is told
  readonly data: any
}

export class Ear {
  readonly events: Heard[] = []
  /** Characters so far. */
  length = 0
  ended = false
  heartbeats = 0
  #begun = false
  #rest = ''
  readonly #stop = new AbortController()

  async open(api: Api, last?: string): Promise<this> {
    onTestFinished(() => this.close())
    const response = await fetch(`${api.server.url}/v1/events`, {
      headers: {
        authorization: `Bearer ${tokens.read}`,
        ...(last === undefined ? {} : { 'last-event-id': last }),
      },
      signal: this.#stop.signal,
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    void this.#read(response)
    await until('the stream has begun', () => this.#begun)
    return this
  }

  close(): void {
    this.#stop.abort()
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder()
    try {
      for await (const chunk of response.body ?? []) this.#hear(decoder.decode(chunk, { stream: true }))
    } catch {
      // closed from either side
    }
    this.ended = true
  }

  #hear(text: string): void {
    this.length += text.length
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) {
      if (block.includes(': from here on')) this.#begun = true
      if (block.startsWith(': alive')) this.heartbeats++
      const fields = Object.fromEntries(
        block
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
      if (fields.event)
        this.events.push({
          id: fields.id ?? '',
          event: fields.event,
          data: JSON.parse(fields.data ?? 'null'),
        })
    }
  }
}
