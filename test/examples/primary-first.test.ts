import { expect, test } from 'vitest'
import { within } from '../harness/until.ts'
import { startBackend, startExample, textOf } from './example.ts'

test('all requests go to the primary while it is up, to the spare while it is not', async () => {
  const [primary, spare] = await Promise.all([startBackend('primary'), startBackend('spare')])
  const { url } = await startExample('primary-first', { PRIMARY_PORT: primary.port, SPARE_PORT: spare.port })
  for (let tries = 0; tries < 10; tries++) expect(await textOf(url)).toBe('primary')
  await primary.stop()
  expect(await textOf(url)).toBe('spare')
  await primary.start()
  const usedAgain = async (): Promise<void> => {
    while ((await textOf(url)) !== 'primary') await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await within('the primary to be used again', usedAgain(), 20_000)
})
