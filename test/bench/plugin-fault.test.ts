/** What the log of a load balancer says of a plugin that fails in a measurement. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { faultAnswer, faultIn } from '../../bench/arms/plugin-fault.ts'

function faultOf(...lines: (object | string)[]): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-fault-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'lb.log')
  writeFileSync(
    file,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  )
  return faultIn(file)
}

const line = (code: string, msg: string, cause?: string) => ({ level: 50, code, plugin: 'gate', cause, msg })
const stack = `Error: no tenants
    at check (file:///app/core/proxy/filter-chain.ts:1:1)
    at Object.onRequest (file:///p/gate.ts?millrace=0123abcd:7:20)`

test('the last fault, with what was thrown and the plugin’s own line', () => {
  const found = faultOf(
    line('MR_PLUGIN_FAULT', 'filter gate failed in onDone', 'Error: before'),
    line('MR_PLUGIN_FAULT', 'filter gate failed in onRequest', stack),
    line('MR_PLUGIN_FAULT', '80 more faults of filter gate in onRequest within this second are not logged'),
    'millrace: MR_PLUGIN_FAULT, in no JSON',
    { level: 30, msg: 'listening' },
    '',
  )
  expect(found).toBe('filter gate failed in onRequest: Error: no tenants (at gate.ts:7)')
})

test('a hook that was late says so once', () => {
  const words = 'missed its deadline of 5000 ms'
  expect(faultOf(line('MR_PLUGIN_TIMEOUT', `filter gate failed in onRequest: it ${words}`, words))).toBe(
    `filter gate failed in onRequest: it ${words}`,
  )
})

test('of none there is none', () => {
  expect(faultOf({ level: 30, msg: 'listening' }, line('MR_THREAD', 'died', 'Error: x'))).toBeUndefined()
})

test.each([
  ['MR_PLUGIN_FAULT: A plugin threw, or did what it must not', true],
  ['MR_PLUGIN_TIMEOUT: A plugin did not finish in time', true],
  ['MR_BODY_TOO_LARGE: The request body is too large', false],
  ['who are you', false],
])('an answer that begins with %s is a fault: %s', (text, isFault) => {
  expect(faultAnswer.test(text)).toBe(isFault)
})
