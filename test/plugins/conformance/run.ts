/** Runs the published kit on a built-in plugin. */
import type { PluginKind } from 'millrace'
import { type ConformanceSetup, conformance } from 'millrace/conformance'
import { test } from 'vitest'
import { builtin } from '../make.ts'

export function conforms<K extends PluginKind>(
  kind: K,
  name: string,
  setup: Omit<ConformanceSetup<K>, 'test'> = {},
): void {
  conformance(builtin(kind, name), { ...setup, test })
}
