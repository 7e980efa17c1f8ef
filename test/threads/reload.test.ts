import { generateKeyPairSync } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../core/config/load.ts'
import type { Config } from '../../core/config/snapshot.ts'
import { systemClock } from '../../core/host/clock.ts'
import { PluginRegistry } from '../../core/host/registry.ts'
import type { ApplyResult } from '../../core/threads/apply.ts'
import { FileWatch } from '../../core/threads/file-watch.ts'
import { startReload } from '../../core/threads/reload.ts'
import { until } from '../harness/until.ts'
import { testLog } from './fixtures/server.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const text = (backend: number, more: object = {}): string =>
  JSON.stringify({
    listeners: { web: { address: '127.0.0.1:0' } },
    routes: [{ service: 'app' }],
    services: { app: { backends: [`http://127.0.0.1:${backend}`] } },
    ...more,
  })

async function bench(whileStarting = (_path: string): void => {}) {
  const path = join(folder(), 'millrace.yaml')
  writeFileSync(path, text(1))
  const { lines, log } = testLog()
  const applied: string[] = []
  const signals = new EventEmitter()
  const result: ApplyResult = { status: 'applied', revision: 2, problems: [] }
  let unreadable = 0
  let reopened = 0
  const load = async () => ({
    config: await loadConfig({ path }, { env: {} }),
    registry: new PluginRegistry(),
  })
  const { config } = await load()
  whileStarting(path)
  const reload = startReload({
    server: {
      apply: async (config: Config) => {
        applied.push(config.snapshot.services.app.backends[0].url)
        return result
      },
      configUnreadable: () => void unreadable++,
      reopenLogs: () => void reopened++,
    },
    config,
    load,
    log,
    signals,
  })
  onTestFinished(() => reload.stop())
  const counts = () => ({ unreadable, reopened })
  return { path, lines, applied, signals, reload, counts }
}

describe('reload', () => {
  test('a file that is written is applied once', async () => {
    const { path, applied } = await bench()
    writeFileSync(path, text(2))
    writeFileSync(path, text(3))
    await until('it is applied', () => applied.length > 0)
    expect(applied).toEqual(['http://127.0.0.1:3'])
  })

  test('a file that is renamed over the old one is applied, time after time', async () => {
    const { path, applied } = await bench()
    for (let round = 2; round < 5; round++) {
      writeFileSync(`${path}.new`, text(round))
      renameSync(`${path}.new`, path)
      await until('it is applied', () => applied.at(-1) === `http://127.0.0.1:${round}`)
    }
  })

  test('a bad file is not applied, the log says why and where, and the next good one is', async () => {
    const { path, applied, lines, counts } = await bench()
    writeFileSync(path, '{ services: { app: { backend: 1 } } }')
    const line = await until('the log says so', () => lines.find(({ level }) => level === 'error'))
    expect(line.message).toMatch(/the old one stays[\s\S]*millrace\.yaml:1:/)
    expect(counts().unreadable).toBe(1)
    expect(applied).toEqual([])
    writeFileSync(path, text(4))
    await until('it is applied', () => applied.length > 0)
    expect(applied).toEqual(['http://127.0.0.1:4'])
  })

  test('a PEM file that is missing is waited for', async () => {
    const { path, applied, lines } = await bench()
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const tls = { cert: './missing.pem', key: './key.pem' }
    const listeners = { web: { address: '127.0.0.1:0' }, safe: { address: '127.0.0.1:0', tls } }
    writeFileSync(join(dirname(path), 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    writeFileSync(path, text(2, { listeners }))
    await until('it is refused', () => lines.some(({ message }) => message.includes('missing.pem')))
    const refusals = lines.filter(({ level }) => level === 'error').length
    writeFileSync(join(dirname(path), 'missing.pem'), 'no certificate yet')
    await until('it is tried again', () => lines.filter(({ level }) => level === 'error').length > refusals)
    expect(lines.at(-1)?.message).toContain('holds no valid PEM certificate')
    expect(applied).toEqual([])
  })

  test('a storm of SIGHUPs is two readings at most', async () => {
    const { signals, reload, lines, applied } = await bench()
    for (let i = 0; i < 100; i++) signals.emit('SIGHUP')
    await reload.now('the last')
    await reload.now('one more')
    const readings = lines.filter(({ message }) => message.includes('reading the config'))
    expect(readings).toHaveLength(3)
    expect(applied).toHaveLength(3)
  })

  test('a file that changed while the process started is applied', async () => {
    const { applied } = await bench((path) => writeFileSync(path, text(6)))
    await until('it is applied', () => applied.length > 0)
    expect(applied).toEqual(['http://127.0.0.1:6'])
  })

  test('SIGHUP reads the file even when it has not changed, and opens the logs anew', async () => {
    const { applied, signals, reload, counts } = await bench()
    signals.emit('SIGHUP')
    await until('it is applied', () => applied.length === 1)
    expect(counts().reopened).toBe(1)
    reload.stop()
    expect(signals.listenerCount('SIGHUP')).toBe(0)
  })

  test('names what needs a restart, and applies the rest', async () => {
    const { path, applied, lines } = await bench()
    writeFileSync(path, text(5, { node: { threads: 7 }, fleet: 'other' }))
    await until('it is applied', () => applied.length > 0)
    const line = lines.find(({ fields }) => fields.code === 'MR_CONFIG_RESTART')
    expect(line?.fields.keys).toEqual(['fleet', 'node.threads'])
  })
})

describe('FileWatch', () => {
  function watching(...files: string[]) {
    const changes: string[] = []
    const { lines, log } = testLog()
    const watch = new FileWatch({ clock: systemClock, log, changed: (paths) => void changes.push(...paths) })
    onTestFinished(() => watch.stop())
    watch.files(files)
    return { changes, lines, watch }
  }

  test('sees a symbolic link turned to another folder', async () => {
    const root = folder()
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(root, version))
      writeFileSync(join(root, version, 'cert.pem'), version)
    }
    symlinkSync('v1', join(root, 'data'))
    symlinkSync('data/cert.pem', join(root, 'cert.pem'))
    const { changes } = watching(join(root, 'cert.pem'))
    symlinkSync('v2', join(root, 'data.new'))
    renameSync(join(root, 'data.new'), join(root, 'data'))
    await until('it is seen', () => changes.length > 0)
    expect(changes).toEqual([join(root, 'cert.pem')])
  })

  test('sees a file written that a symbolic link in another folder leads to', async () => {
    const [here, there] = [folder(), folder()]
    writeFileSync(join(there, 'cert.pem'), '1')
    symlinkSync(join(there, 'cert.pem'), join(here, 'cert.pem'))
    const { changes } = watching(join(here, 'cert.pem'))
    writeFileSync(join(there, 'cert.pem'), '22')
    await until('it is seen', () => changes.length > 0)
    expect(changes).toEqual([join(here, 'cert.pem')])
  })

  test('does not mind other files of the folder', async () => {
    const root = folder()
    const file = join(root, 'a')
    writeFileSync(file, '1')
    const { changes } = watching(file)
    writeFileSync(join(root, 'b'), '1')
    writeFileSync(file, '2')
    await until('it is seen', () => changes.length > 0)
    expect(changes).toEqual([file])
  })

  test('sees a file whose folder did not exist', async () => {
    const root = folder()
    const file = join(root, 'later', 'a')
    const { changes, lines } = watching(file)
    expect(lines[0].message).toContain('cannot watch')
    mkdirSync(join(root, 'later'))
    writeFileSync(file, '1')
    await until('it is seen', () => changes.length > 0)
  })
})
