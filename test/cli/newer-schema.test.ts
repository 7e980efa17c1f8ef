/** Documents that a newer version has written, and nodes that are older: what `millrace config` does not write. */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { settled } from '../../cli/config/write.ts'
import { openSqlite } from '../plugins/config-store/sqlite-world.ts'
import { folderWith, type RunResult, runCli } from './run-cli.ts'

/** A store with a config and overrides, a backup of both, and another config since. */
async function backedUp() {
  const directory = folderWith({ 'two.yaml': 'filters: [request-id]\n' })
  const run = (store: string, ...args: string[]): Promise<RunResult> =>
    runCli(['config', ...args, '--store', store], { directory, env: { USER: 'ann' } })
  const config = (...args: string[]): Promise<RunResult> => run('sqlite:store.db', ...args)
  /** As another process would. */
  const put = async (document: string, text: string | null, schema: number): Promise<void> => {
    const { store, stop } = await openSqlite(directory)
    const head = await store.get(document)
    const id = `${document}-${head?.revision.number ?? 0}-0123456789`
    const value = text === null ? null : Buffer.from(text)
    await store.put(document, value, head?.revision ?? null, id, { by: 'another version', schema })
    await stop()
  }
  const numbers = async (): Promise<(number | undefined)[]> => {
    const { store, stop } = await openSqlite(directory)
    const heads = [await store.get('config'), await store.get('overrides')]
    await stop()
    return heads.map((head) => head?.revision.number)
  }
  await put('config', '{}', 1)
  await put('overrides', '{"schema":1,"breakers":[]}', 1)
  await config('backup', '--to', 'backups')
  await put('config', '{"filters":["request-id"]}', 1)
  const [name] = readdirSync(path.join(directory, 'backups'))
  return { run, config, put, numbers, backup: path.join('backups', name) }
}

const refusal = (what: string) => ({
  status: 1,
  err: expect.stringMatching(
    new RegExp(`MR_STORE_DATA the ${what} .*written in schema 2, and this version reads up to 1`),
  ),
})

test('overrides and config of a newer version, tombstones too: apply, rollback and restore replace them not, nor anything else', async () => {
  const { config, put, numbers, backup } = await backedUp()
  await put('overrides', '{"schema":2}', 2)
  expect(await config('restore', backup)).toMatchObject(refusal('document overrides of the store'))
  await put('overrides', null, 2)
  expect(await config('restore', backup)).toMatchObject(refusal('document overrides of the store'))
  expect(await numbers()).toEqual([2, 3])
  await put('config', '{"future":1}', 2)
  expect(await config('restore', backup)).toMatchObject(refusal('document config of the store'))
  expect(await config('rollback', '1')).toMatchObject(refusal('config'))
  expect(await config('apply', 'two.yaml')).toMatchObject(refusal('config'))
  await put('config', null, 2)
  expect(await config('restore', backup)).toMatchObject(refusal('document config of the store'))
  expect(await config('apply', 'two.yaml')).toMatchObject(refusal('config'))
  expect(await numbers()).toEqual([4, 3])
})

test('a backup of a newer version is restored into no store, tombstones neither', async () => {
  const { run, config, put } = await backedUp()
  await put('config', null, 2)
  const made = await config('backup', '--to', 'newer')
  const name = /millrace-\S+\.ndjson/.exec(made.out)?.[0] ?? ''
  expect(await run('sqlite:other.db', 'restore', `newer/${name}`)).toMatchObject(
    refusal(`document config of ${name}`),
  )
  expect((await run('sqlite:other.db', 'get')).status).toBe(2)
})

test('nothing is written that a node which lives does not read', async () => {
  const { store } = await openSqlite(folderWith({}))
  await store.lease('node/lb-1', 'lb-1/boot', 60_000)
  const writing = settled(store, 'config', null, Buffer.from('{}'), { by: 'test', schema: 2 })
  await expect(writing).rejects.toMatchObject({ code: 'MR_STORE_SCHEMA' })
  expect(await store.get('config')).toBe(null)
})
