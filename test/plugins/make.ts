import type {
  Algorithm,
  CircuitBreaker,
  Filter,
  PluginDefinition,
  PluginKind,
  PluginKinds,
  ThreadContext,
} from 'millrace'
import { builtins } from '../../plugins/manifest.ts'
import { threadContext } from './fake-context.ts'

export function builtin<K extends PluginKind>(kind: K, name: string): PluginDefinition<K> {
  const plugin = builtins.find((candidate) => candidate.kind === kind && candidate.name === name)
  if (plugin === undefined) throw new Error(`no built-in ${kind} ${name}`)
  return plugin as unknown as PluginDefinition<K>
}

/** Options as the host parses them. */
export function parsed(plugin: Pick<PluginDefinition, 'options' | 'name'>, options: unknown): unknown {
  const result = plugin.options['~standard'].validate(options)
  if (result instanceof Promise) throw new Error('options must be synchronous')
  if (result.issues)
    throw new Error(`${plugin.name}: ${result.issues.map(({ message }) => message).join('; ')}`)
  return result.value
}

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
