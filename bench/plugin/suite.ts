/** How the CPU that a plugin adds is measured. */
import type { Suite } from '../suites.ts'
import { small } from '../suites.ts'

/**
 * About two minutes, or under one.
 *
 * @param headers of every request, to either arm
 */
export function pluginSuite(
  arms: readonly [core: string, withPlugin: string],
  quick: boolean,
  headers: Readonly<Record<string, string>>,
): Suite {
  const scenarios = [{ ...small, headers }]
  const base = { name: 'plugin', arms, warmupSeconds: 1, openWarmupSeconds: 4, scenarios }
  return quick
    ? { ...base, title: 'A plugin, quickly', rounds: 9, seconds: 1, firstWarmupSeconds: 6, restartEvery: 9 }
    : { ...base, title: 'A plugin', rounds: 12, seconds: 2, firstWarmupSeconds: 5, restartEvery: 3 }
}
