/** Hooks of every built-in filter on a real exchange with the fields of a browser-sized request. Taking the fields apart,
 * which the first edit does, is part of it; writing the edited head is not (see `heads`). Filters that ask who the client is
 * know it already, as from its second request on. */
import { createHmac } from 'node:crypto'
import type { Clock, Filter, PluginDefinition } from 'millrace'
import { ExchangeFacade } from '../../core/proxy/filter-exchange.ts'
import { stage } from '../../core/proxy/filter-messages.ts'
import { builtins } from '../../plugins/manifest.ts'
import { parsed } from '../fixtures/builtin.ts'
import { FakeTime, threadContext } from '../fixtures/context.ts'
import { filterOptions } from '../fixtures/filter-options.ts'
import type { MicroCase, Running } from './case.ts'
import { Exchanges } from './exchanges.ts'

type Hook = 'onRequest' | 'onResponse'

/** The hooks that do something, for each filter. `compress`: with what its end costs, without any bytes. */
const measured: Readonly<Record<string, readonly Hook[]>> = {
  'basic-auth': ['onRequest'],
  'body-limit': ['onRequest'],
  'cache-control': ['onResponse'],
  canary: ['onRequest'],
  compress: ['onResponse'],
  headers: ['onRequest', 'onResponse'],
  'ip-access': ['onRequest'],
  jwt: ['onRequest'],
  mirror: ['onRequest'],
  'rate-limit': ['onRequest'],
  'request-id': ['onRequest', 'onResponse'],
  rewrite: ['onRequest'],
  'sticky-cookie': ['onRequest', 'onResponse'],
}

/** A line that a client adds for the filter. */
const fieldLines: Readonly<Record<string, () => string>> = {
  'basic-auth': () => `Authorization: Basic ${Buffer.from('ann:secret').toString('base64')}\r\n`,
  jwt: () => `Authorization: Bearer ${token()}\r\n`,
}

/** Signed with the key of `filterOptions`. */
function token(): string {
  const [{ k }] = filterOptions.jwt.keys as readonly { readonly k: string }[]
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', kid: 'a' })}.${part({ sub: 'ann', exp: 4_000_000_000 })}`
  return `${text}.${createHmac('sha256', Buffer.from(k, 'base64url')).update(text).digest('base64url')}`
}

/** Goes on by itself, so that buckets fill as they are emptied. */
function movingClock(): Clock {
  const now = new Float64Array(1)
  return {
    ...new FakeTime().clock(),
    now() {
      now[0] += 0.005
      return now[0]
    },
  }
}

/** An exchange that has no services to go to. */
class Facade extends ExchangeFacade {
  override sendTo(): void {}
  override mirror(): void {}
}

async function prepare(plugin: PluginDefinition<'filter'>, hook: Hook): Promise<Running> {
  const context = threadContext(plugin.name === 'rate-limit' ? { clock: movingClock() } : {})
  const filter: Filter = await plugin.create(context, parsed(plugin, filterOptions[plugin.name]))
  const exchanges = new Exchanges('browser', fieldLines[plugin.name]?.())
  const facade = new Facade(exchanges.exchange)
  if (filter[hook] === undefined) throw new Error(`${plugin.name} has no ${hook} with these options`)
  const request = (index: number): void | PromiseLike<void> => {
    exchanges.request(index)
    facade.enter(0, stage.request)
    return filter.onRequest?.(facade)
  }
  if (hook === 'onRequest') {
    await request(0)
    if (facade.answered) throw new Error(`${plugin.name} refuses the request that is measured`)
    return { run: request }
  }
  return {
    run(index) {
      exchanges.response(index)
      facade.enter(0, stage.response)
      const pending = filter.onResponse?.(facade)
      filter.onDone?.(facade)
      return pending
    },
  }
}

export const filters: readonly MicroCase[] = builtins
  .filter((plugin) => plugin.kind === 'filter')
  .flatMap((plugin) =>
    (measured[plugin.name] ?? []).map((hook) => ({
      group: 'filters' as const,
      subject: plugin.name,
      name: hook,
      ...(plugin.name === 'compress' ? { calls: 20 } : {}),
      prepare: () => prepare(plugin as unknown as PluginDefinition<'filter'>, hook),
    })),
  )
