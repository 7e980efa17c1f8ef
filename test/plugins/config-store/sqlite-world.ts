/** Stores in real files, in this process and in others. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ConfigStore, PutResult, RevisionRef } from 'millrace'
import { onTestFinished } from 'vitest'
import { openStore } from '../../../core/host/open-store.ts'
import { builtIn, PluginRegistry } from '../../../core/host/registry.ts'
import { builtins } from '../../../plugins/manifest.ts'

export function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-sqlite-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface Opened {
  readonly store: ConfigStore
  stop(): Promise<void>
}

export async function openSqlite(data: string, options: object = {}, use = 'sqlite'): Promise<Opened> {
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  const opened = await openStore(
    { use, options: { ...options }, path: 'store' },
    {
      registry,
      fleet: 'default',
      node: { id: 'test', boot: 'test' },
      data,
      random: Math.random,
      log: { debug() {}, info() {}, warn() {}, error() {} },
    },
  )
  onTestFinished(() => opened.stop())
  return opened
}

export const put = (
  store: ConfigStore,
  value: Uint8Array | string,
  expect: RevisionRef | null,
  document = 'config',
): Promise<PutResult> => store.put(document, Buffer.from(value), expect, randomUUID(), { by: 'test' })

export interface Helper {
  readonly child: ChildProcess
  /** What it has said so far. */
  readonly said: Record<string, unknown>[]
  readonly ended: Promise<{ readonly code: number | null; readonly err: string }>
  kill(): Promise<void>
}

/** Starts `sqlite-process.ts`. @param shell what a shell does before */
export function startProcess(what: string, data: string, count = 0, shell?: string): Helper {
  const script = path.join(import.meta.dirname, 'sqlite-process.ts')
  const args = [script, what, data, String(count)]
  const child = shell
    ? spawn('sh', ['-c', `${shell}; exec "$0" "$@"`, process.execPath, ...args])
    : spawn(process.execPath, args)
  const said: Record<string, unknown>[] = []
  let rest = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) said.push(JSON.parse(line))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const ended = new Promise<{ code: number | null; err: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, err })),
  )
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  return { child, said, ended, kill }
}
