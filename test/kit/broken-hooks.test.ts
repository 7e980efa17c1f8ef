/** Filters and health sources with one fault each; the kit names it. */
import { definePlugin, z } from 'millrace'
import { describe, expect, test } from 'vitest'
import { verdicts } from './verdicts.ts'

describe('filter', () => {
  const filter = (hooks: object) =>
    definePlugin({
      api: 1,
      kind: 'filter',
      name: 'own',
      options: z.strictObject({}),
      create: () => ({ ...hooks }),
    })
  const state = new WeakMap<object, number>()

  test('one that expects an answer in onDone is caught', async () => {
    const broken = filter({
      onDone: (exchange: { response?: { status: number } }) => void exchange.response!.status,
    })
    const { failed } = await verdicts(broken)
    expect(Object.keys(failed)).toContain(
      'takes an exchange that ends with a client that goes away before a backend was asked',
    )
  })

  test('one that mixes exchanges up is caught', async () => {
    let last = ''
    const broken = filter({
      onRequest: ({ request }: { request: { method: string } }) => {
        last = request.method
      },
      onResponse: ({ response }: { response: { headers: Map<string, string> } }) =>
        response.headers.set('x-method', last),
    })
    const { failed } = await verdicts(broken)
    expect(Object.keys(failed)).toEqual(['keeps exchanges apart that run at the same time'])
  })

  test('one that goes on with an exchange that has ended is caught', async () => {
    const broken = definePlugin({
      api: 1,
      kind: 'filter',
      name: 'own',
      options: z.strictObject({}),
      create: (context) => ({
        onDone(exchange) {
          context.clock.after(1000, () => state.set(exchange, exchange.attempts))
        },
      }),
    })
    const { failed } = await verdicts(broken)
    expect(Object.keys(failed)).toEqual(['lets go of an exchange after onDone'])
  })
})

describe('health source', () => {
  const source = (smooth: boolean) =>
    definePlugin({
      api: 1,
      kind: 'health-source',
      name: 'own',
      options: z.strictObject({}),
      create(context) {
        let stop = (): void => {}
        context.defer(() => stop())
        return {
          update(targets) {
            stop()
            const running = new AbortController()
            stop = () => running.abort()
            for (const { id, url } of targets) {
              let downs = 0
              const timer = context.clock.every(context.intervalMs, async () => {
                const signal = AbortSignal.any([running.signal, AbortSignal.timeout(context.timeoutMs)])
                const answer = await fetch(url, { signal, headers: { connection: 'close' } }).catch(
                  () => undefined,
                )
                await answer?.arrayBuffer().catch(() => {})
                if (running.signal.aborted) return
                const up = answer?.ok === true
                downs = up ? 0 : downs + 1
                context.report(id, { up: up || (smooth && downs < 3), reason: up ? 'ok' : 'failed' })
              })
              running.signal.addEventListener('abort', () => timer.cancel())
            }
          },
        }
      },
    })

  test('one that smooths its results is caught', { timeout: 60_000 }, async () => {
    const { failed } = await verdicts(source(true), {}, (name) => name.startsWith('reports raw'))
    expect(Object.keys(failed)).toHaveLength(1)
  })
})
