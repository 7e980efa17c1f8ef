/** A config as YAML, for people and for files. */
import { createHash } from 'node:crypto'
import { stringify } from 'yaml'

/** One text for equal data: keys are sorted in the store. */
export function yamlOf(data: unknown): string {
  const empty = typeof data === 'object' && data !== null && Object.keys(data).length === 0
  return empty ? '' : stringify(data, { lineWidth: 0, aliasDuplicateObjects: false })
}

/** As {@link yamlOf}, for differences on a screen: a private key is told apart, and not shown. */
export function shownYaml(data: unknown): string {
  const hidden = JSON.stringify(data, (_key, value: unknown) =>
    typeof value === 'string' && /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(value)
      ? `(private key, SHA-256 ${createHash('sha256').update(value).digest('hex').slice(0, 12)}…)`
      : value,
  )
  return yamlOf(JSON.parse(hidden))
}
