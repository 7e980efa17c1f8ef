import { expect, test } from 'vitest'
import { effectiveConfig } from '../../cli/effective.ts'
import { load, web } from './load-text.ts'

const [old, next] = ['the first secret of the fleet', 'the second secret of the fleet']

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
