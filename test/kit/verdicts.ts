/** Runs the kit on a plugin without a runner, and tells how each test went. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { PluginDefinition, PluginKind } from 'millrace'
import { type ConformanceSetup, conformance } from 'millrace/conformance'

export interface Verdicts {
  readonly passed: string[]
  /** By the test's name, without the plugin's. */
  readonly failed: Record<string, string>
}

export async function verdicts<K extends PluginKind, S extends StandardSchemaV1>(
  plugin: PluginDefinition<K, S>,
  setup: Omit<ConformanceSetup<K>, 'test'> = {},
  only?: (name: string) => boolean,
): Promise<Verdicts> {
  const tests: [name: string, run: () => Promise<void>][] = []
  conformance(plugin, {
    ...setup,
    test: (name, { skip }, run) => {
      const own = name.slice(`${plugin.kind} ${plugin.name}: `.length)
      if (!skip && (only?.(own) ?? true)) tests.push([own, run])
    },
  })
  const found: Verdicts = { passed: [], failed: {} }
  for (const [name, run] of tests) {
    try {
      await run()
      found.passed.push(name)
    } catch (error) {
      found.failed[name] = (error as Error).message
    }
  }
  return found
}
