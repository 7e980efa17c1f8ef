import { expect, test } from 'vitest'
import { effectiveConfig } from '../../cli/effective.ts'
import { load, web } from './load-text.ts'

const [old, next] = ['the first secret of the fleet', 'the second secret of the fleet']

test('the command of backups is shown to nobody: it may hold what the environment says', async () => {
  const text = `${web}backup: { command: "put --key=\${KEY} there" }\nstore: memory\n`
  const config = await load(text, { env: { KEY: 's3cret' } })
  expect(config.bootstrap.backup?.to).toEqual({ kind: 'command', command: 'put --key=s3cret there' })
  expect(effectiveConfig(config)).toMatchObject({ backup: { command: '(hidden)', keep: expect.any(Number) } })
})

test.each([
  ['', []],
  [`fleetKey: ${old}`, [old]],
  [`fleetKey: [${next}, ${old}]`, [next, old]],
])('%j', async (text, keys) => {
  const config = await load(`${web}${text}\n`)
  expect(config.bootstrap.fleetKeys).toEqual(keys)
  const shown = JSON.stringify(effectiveConfig(config))
  expect(shown).not.toContain('secret of the fleet')
  expect(shown.includes('fleetKey')).toBe(keys.length > 0)
})
