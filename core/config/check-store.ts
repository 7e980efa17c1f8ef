/** `store:`, `sync:` and `backup:` of the config file. With a store the file is the node's own half only. */
import type { PluginCatalog } from './catalog.ts'
import { checkUse } from './check-uses.ts'
import { asMap, type Raw } from './checks.ts'
import type { ConfigDocument } from './document.ts'
import type { ConfigPath } from './problems.ts'
import { dynamicKeys } from './schema.ts'
import { inheritOptions } from './sync-options.ts'
import { optionsOf, useName } from './uses.ts'

export function checkStore(document: ConfigDocument, catalog: PluginCatalog | undefined): void {
  const root = asMap(document.value)
  checkBackup(document, root)
  if (root.store === undefined) {
    if (root.sync === undefined) return
    const message = 'there is nothing to keep in sync with: `store` is missing'
    document.report({ code: 'MR_CONFIG_INVALID', message, path: ['sync'], atKey: true })
    return
  }
  for (const key of dynamicKeys) if (root[key] !== undefined) refuse(document, [key])
  for (const [name, listener] of Object.entries(asMap(root.listeners)))
    if (asMap(listener).routes !== undefined) refuse(document, ['listeners', name, 'routes'])
  if (catalog === undefined) return
  checkUse(document, catalog, 'config-store', root.store, ['store'])
  if (root.sync !== undefined)
    checkUse(document, catalog, 'config-sync', withInherited(catalog, root.store, root.sync), ['sync'])
}

function checkBackup(document: ConfigDocument, { backup, store }: Raw): void {
  if (backup === undefined) return
  const report = (message: string): void =>
    document.report({ code: 'MR_CONFIG_INVALID', message, path: ['backup'], atKey: true })
  if (store === undefined) report('there is nothing to back up but this file: `store` is missing')
  const { to, command } = asMap(backup)
  if ((to === undefined) === (command === undefined))
    report('expected `to`, a folder, or `command`, which reads the backup from its standard input')
}

/** As it will run. Slot keys stay, so that problems find their place. */
function withInherited(catalog: PluginCatalog, store: unknown, sync: unknown): unknown {
  const parts = (kind: 'config-store' | 'config-sync', use: unknown) => ({
    use: useName(use) ?? '',
    options: optionsOf(kind, use),
  })
  const own = parts('config-sync', sync)
  const inherited = inheritOptions(catalog, parts('config-store', store), own)
  return Object.keys(inherited).length === Object.keys(own.options).length
    ? sync
    : { ...inherited, ...asMap(sync), use: own.use }
}

function refuse(document: ConfigDocument, path: ConfigPath): void {
  document.report({
    code: 'MR_CONFIG_INVALID',
    message: `with \`store\` the config store holds \`${String(path.at(-1))}\`, and this file does not`,
    path,
    suggestion: 'move it to a file of its own, and write it to the store: millrace config apply FILE',
    atKey: true,
  })
}
