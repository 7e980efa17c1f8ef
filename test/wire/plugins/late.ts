/**
 * A filter that takes its time, or does the unexpected: `X-Do` (or `field`) says what onRequest does, `X-Answer` what onResponse does.
 * Who sleeps goes on when any request says `X-Do: wake`.
 */
import { type BodyTransform, definePlugin, type FilterExchange, z } from 'millrace'

function passOn(later: boolean): BodyTransform {
  return {
    transform(chunk, push) {
      push(chunk)
      return later ? Promise.resolve() : undefined
    },
  }
}

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'late',
  options: z.strictObject({ field: z.string().default('x-do') }),
  create({ log }, { field }) {
    let sleepers: (() => void)[] = []
    const sleep = async (hook: string, exchange: FilterExchange): Promise<void> => {
      log.info(`asleep in ${hook}`)
      await new Promise<void>((resolve) => sleepers.push(resolve))
      log.info(`awake in ${hook}`, { secret: exchange.request.headers.get('x-secret') ?? 'none' })
    }
    const tried = async (act: () => unknown): Promise<void> => {
      try {
        await act()
        log.info('did it')
      } catch (error) {
        log.info(`${error}`)
      }
    }
    const steps: Record<string, (exchange: FilterExchange) => void | Promise<void>> = {
      sleep: (exchange) => sleep('onRequest', exchange),
      async 'sleep-refuse'(exchange) {
        await sleep('onRequest', exchange)
        exchange.respond({ status: 403, body: 'too late' })
      },
      async 'sleep-read'(exchange) {
        await sleep('onRequest', exchange)
        await tried(() => exchange.request.readBody(1 << 20))
      },
      async 'sleep-transform'(exchange) {
        await sleep('onRequest', exchange)
        await tried(() => exchange.request.transformBody(passOn(true)))
      },
      wake() {
        for (const sleeper of sleepers) sleeper()
        sleepers = []
      },
      bounce: (exchange) => exchange.sendTo(exchange.service === 'app' ? 'other' : 'app'),
      leave: (exchange) => {
        if (exchange.service === 'app') exchange.sendTo('other')
      },
      refuse: (exchange) => exchange.respond({ status: 403, body: 'no' }),
    }
    return {
      onRequest: (exchange) => steps[exchange.request.headers.get(field) ?? '']?.(exchange),
      onResponse(exchange) {
        const { response } = exchange
        const status = exchange.request.headers.get('x-status')
        if (status !== undefined && response) response.status = Number(status)
        switch (exchange.request.headers.get('x-answer')) {
          case 'sleep':
            return sleep('onResponse', exchange)
          case 'sleep-pass':
            return sleep('onResponse', exchange).then(() =>
              tried(() => response?.transformBody(passOn(true))),
            )
          case 'throw':
            throw new Error('thrown on purpose')
          case 'pass':
            response?.transformBody(passOn(false))
            break
          case 'pass-later':
            response?.transformBody(passOn(true))
        }
        return undefined
      },
      onDone: (exchange) => log.info(`done ${exchange.outcome}`),
    }
  },
})
