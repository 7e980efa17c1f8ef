import { expect, test } from 'vitest'
import { startBackend, startExample, textOf } from './example.ts'

test('one request in twenty goes to the canary, and each that asks for it', async () => {
  const [stable, canary] = await Promise.all([startBackend('stable'), startBackend('canary')])
  const { url } = await startExample('canary', { STABLE_PORT: stable.port, CANARY_PORT: canary.port })
  for (let tries = 0; tries < 10; tries++) expect(await textOf(url, { 'x-canary': 'always' })).toBe('canary')
  let hits = 0
  const requests = 2000
  for (let tries = 0; tries < requests; tries++) if ((await textOf(url)) === 'canary') hits++
  // 100 expected, standard deviation 9.7: six of them on either side.
  expect(hits).toBeGreaterThan(40)
  expect(hits).toBeLessThan(160)
})
