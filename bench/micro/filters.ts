/** Hooks of every built-in filter on a real exchange with the fields of a browser-sized request. Taking the fields apart,
 * which the first edit does, is part of it; writing the edited head is not (see `heads`). */
import type { Filter, PluginDefinition } from 'millrace'
import { ExchangeFacade } from '../../core/proxy/filter-exchange.ts'
import { builtins } from '../../plugins/manifest.ts'
import { threadContext } from '../../test/plugins/fake-context.ts'
import { parsed } from '../../test/plugins/make.ts'
import type { MicroCase, Running } from './case.ts'
import { Exchanges } from './exchanges.ts'

const edits = { remove: ['x-internal'], set: { 'X-Tenant': 'a' }, append: { 'X-List': ['b', 'c'] } }

/** Options with which a filter has something to do in its hooks. */
const options: Readonly<Record<string, unknown>> = {
  headers: { request: edits, response: edits },
  'request-id': { response: true },
}

async function prepare(
  plugin: PluginDefinition<'filter'>,
  hook: 'onRequest' | 'onResponse',
): Promise<Running> {
  const filter: Filter = await plugin.create(threadContext(), parsed(plugin, options[plugin.name] ?? {}))
  const exchanges = new Exchanges('browser')
  const facade = new ExchangeFacade(exchanges.exchange)
  if (filter[hook] === undefined) throw new Error(`${plugin.name} has no ${hook} with these options`)
  if (hook === 'onRequest')
    return {
      run(index) {
        exchanges.request(index)
        facade.enter(0, true)
        return filter.onRequest?.(facade)
      },
    }
  return {
    run(index) {
      exchanges.response(index)
      facade.enter(0, false)
      return filter.onResponse?.(facade)
    },
  }
}

export const filters: readonly MicroCase[] = builtins
  .filter((plugin) => plugin.kind === 'filter' && Object.hasOwn(options, plugin.name))
  .flatMap((plugin) =>
    (['onRequest', 'onResponse'] as const).map((hook) => ({
      group: 'filters' as const,
      subject: plugin.name,
      name: hook,
      prepare: () => prepare(plugin as unknown as PluginDefinition<'filter'>, hook),
    })),
  )
