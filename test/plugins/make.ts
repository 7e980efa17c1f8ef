import type { Algorithm, CircuitBreaker, Filter, PluginKinds, ThreadContext } from 'millrace'
import { builtin, parsed } from '../../bench/fixtures/builtin.ts'
import { threadContext } from './fake-context.ts'

export { builtin, parsed }

async function make<K extends 'algorithm' | 'circuit-breaker' | 'filter'>(
  kind: K,
  name: string,
  options: unknown,
  context: ThreadContext,
): Promise<PluginKinds[K]['instance']> {
  const plugin = builtin(kind, name)
  return plugin.create(context as PluginKinds[K]['context'], parsed(plugin, options))
}

export const algorithm = (
  name: string,
  options: unknown = {},
  context = threadContext(),
): Promise<Algorithm> => make('algorithm', name, options, context)

export const breaker = (
  name: string,
  options: unknown = {},
  context = threadContext(),
): Promise<CircuitBreaker> => make('circuit-breaker', name, options, context)

export const filter = (name: string, options: unknown = {}): Promise<Filter> =>
  make('filter', name, options, threadContext())
