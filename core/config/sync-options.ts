/** A sync plugin of the store's own technology: the connection is written once, under `store:`. */
import type { PluginCatalog } from './catalog.ts'
import { asMap } from './checks.ts'

/**
 * Options of the sync where `use` is also the store's: those that its schema knows and that it does not set are the
 * store's.
 */
export function inheritOptions(
  catalog: PluginCatalog,
  store: { readonly use: string; readonly options: Readonly<Record<string, unknown>> },
  sync: { readonly use: string; readonly options: Readonly<Record<string, unknown>> },
): Record<string, unknown> {
  if (store.use !== sync.use || !catalog.names('config-sync').includes(sync.use)) return { ...sync.options }
  const schema = asMap(catalog.jsonSchema('config-sync', sync.use))
  const known = Object.keys(asMap(schema.properties))
  const inherited = Object.entries(store.options).filter(([key]) => known.includes(key))
  return { ...Object.fromEntries(inherited), ...sync.options }
}
