/** Runs the command as a user would, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'

const bin = path.resolve(import.meta.dirname, '../../cli/bin.js')

export interface RunOptions {
  readonly directory?: string
  readonly env?: Readonly<Record<string, string>>
  /** Options of node itself. */
  readonly node?: readonly string[]
}

export interface RunResult {
  /** undefined: ended by a signal. */
  readonly status: number | undefined
  readonly out: string
  readonly err: string
}

/** A running command. */
export interface Running {
  readonly child: ChildProcess
  /** What it has written so far. */
  readonly text: { out: string; err: string }
  readonly ended: Promise<RunResult>
  /** Settles when standard output or error holds the pattern; fails when the command ends before. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>
}

/** Without what an npm script around the test run would tell the command. */
export function cleanEnvironment(env: RunOptions['env'] = {}): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|MILLRACE_)/.test(name))
  return { ...Object.fromEntries(inherited), NO_COLOR: '1', ...env }
}

/** Starts `millrace <args>`; it is killed when the test ends. */
export function startCli(args: readonly string[], options: RunOptions = {}): Running {
  const { directory, env, node = [] } = options
  const child = spawn(process.execPath, [...node, bin, ...args], {
    cwd: directory,
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const text = { out: '', err: '' }
  const waiting = new Set<() => void>()
  const add = (name: 'out' | 'err') => (chunk: string) => {
    text[name] += chunk
    for (const look of waiting) look()
  }
  child.stdout.setEncoding('utf8').on('data', add('out'))
  child.stderr.setEncoding('utf8').on('data', add('err'))
  const ended = new Promise<RunResult>((resolve) => {
    child.on('close', (code) => resolve({ status: code ?? undefined, ...text }))
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const waitFor = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(text.out) ?? pattern.exec(text.err)
        if (match === null) return
        waiting.delete(look)
        resolve(match)
      }
      waiting.add(look)
      look()
      ended.then(({ status }) =>
        reject(new Error(`ended with ${status} before ${pattern}: ${text.out}${text.err}`)),
      )
    })
  return { child, text, ended, waitFor }
}

export function runCli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return startCli(args, options).ended
}

/** A folder with these files, removed when the test ends. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), text)
  }
  return folder
}
