import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { LastKnownGoodFiles } from '#core/config/sync/last-known-good'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function files(directory: string, fleet = 'default') {
  const lines: string[] = []
  const write = (message: string) => void lines.push(message)
  const log = { debug: write, info: write, warn: write, error: write }
  return { lines, kept: new LastKnownGoodFiles(directory, fleet, log) }
}

const config = (number: number, value: Uint8Array | null = Buffer.from(`value ${number}\n${number}`)) => ({
  revision: { lineage: 'l', number, id: `id-${number}` },
  schema: 1,
  value,
})

const numbers = async (kept: LastKnownGoodFiles) => (await kept.load()).map(({ revision }) => revision.number)

test('what was saved is read by the next start, the newest first, two of them', async () => {
  const directory = join(folder(), 'data/deep')
  const { kept } = files(directory)
  for (const number of [1, 2, 3]) await kept.save(config(number))
  const again = await files(directory).kept.load()
  expect(again).toEqual([config(3), config(2)])
  expect(readdirSync(directory).sort()).toEqual(['last-known-good-2', 'last-known-good-3'])
})

test('a lower revision that was served later is the newest', async () => {
  const directory = folder()
  await files(directory).kept.save(config(7))
  await files(directory).kept.save(config(4))
  expect(await numbers(files(directory).kept)).toEqual([4, 7])
})

test.each([
  ['one byte is another', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from('x')])],
  ['it was cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length - 3)],
  ['it was cut off in its first line', (bytes: Buffer) => bytes.subarray(0, 20)],
  ['it is empty', () => Buffer.alloc(0)],
  [
    'its revision was edited',
    (bytes: Buffer) => Buffer.from(bytes.toString().replace('"number":2', '"number":9')),
  ],
])('a newest file that is corrupt (%s) falls back to the one before, and says so', async (_what, damage) => {
  const directory = folder()
  const { kept } = files(directory)
  await kept.save(config(1))
  await kept.save(config(2))
  const newest = join(directory, 'last-known-good-2')
  writeFileSync(newest, damage(readFileSync(newest)))
  const { kept: again, lines } = files(directory)
  expect(await numbers(again)).toEqual([1])
  expect(lines).toEqual([expect.stringContaining(newest)])
})

test('after a corrupt newest the next one is saved behind it', async () => {
  const directory = folder()
  await files(directory).kept.save(config(1))
  writeFileSync(join(directory, 'last-known-good-2'), 'oops')
  await files(directory).kept.save(config(3))
  expect(await numbers(files(directory).kept)).toEqual([3])
})

test('what a crash left half written is not read', async () => {
  const directory = folder()
  await files(directory).kept.save(config(1))
  writeFileSync(join(directory, 'last-known-good.tmp'), 'half')
  expect(await numbers(files(directory).kept)).toEqual([1])
})

test('a tombstone is not the same as no bytes', async () => {
  const directory = folder()
  const { kept } = files(directory)
  await kept.save(config(1, null))
  await kept.save(config(2, Buffer.alloc(0)))
  expect((await kept.load()).map(({ value }) => value?.byteLength)).toEqual([0, undefined])
})

test('what another fleet has served is not used', async () => {
  const directory = folder()
  await files(directory, 'west').kept.save(config(1))
  expect(await numbers(files(directory, 'east').kept)).toEqual([])
})

test('nothing there is nothing, and a folder that cannot be made is an error', async () => {
  const directory = folder()
  expect(await numbers(files(join(directory, 'none')).kept)).toEqual([])
  writeFileSync(join(directory, 'file'), '')
  await expect(files(join(directory, 'file')).kept.save(config(1))).rejects.toThrow()
})

test('only its owner may read it: a service may hold a private key', async () => {
  const directory = folder()
  await files(directory).kept.save(config(1))
  expect(statSync(join(directory, 'last-known-good-1')).mode & 0o777).toBe(0o600)
})
