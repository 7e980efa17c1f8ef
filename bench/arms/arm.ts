import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Processes, Started } from './processes.ts'
import { freePort, waitUntilReady } from './ready.ts'

/** PEM files of the certificate that an arm shows. */
export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Both in one file, as HAProxy wants it. */
  readonly bundleFile: string
}

/** What not every proxy is able to do: TLS towards the client, many backends. */
export type Ability = 'tls' | 'backends'

/** What an arm is started with. */
export interface ArmContext {
  readonly processes: Processes
  readonly random: () => number
  /** Temporary; configs, pid files and logs go here. */
  readonly directory: string
  readonly backendPort: number
  /** Where the backend listens, each a backend of its own for the arm; 127.0.0.1 when left out. */
  readonly backendHosts?: readonly string[]
  /** Clients come with TLS. */
  readonly tls?: TlsFiles
  /** Fields that all clients send. */
  readonly headers?: Readonly<Record<string, string>>
  /** CPU list the whole process tree is pinned to. */
  readonly cores: string
  /** Millrace only: data threads, requests in a row on one backend connection, command with `{config}`. */
  readonly threads: number
  readonly pipelining: number
  readonly millraceCommand: readonly string[]
}

export interface RunningArm {
  readonly started: Started
  readonly port: number
  /** Where /metrics is; undefined for the comparators. */
  readonly adminPort: number | undefined
  /** Writes the config anew with a second backend or without it; undefined where the arm has no live reload. */
  readonly setBackends: ((count: 1 | 2) => void) | undefined
  /** Status that it answers with by itself; the backend's when left out. */
  readonly expect?: number
  /** Why a plugin has failed in it, as far as it tells; absent where nobody knows. */
  readonly fault?: () => string | undefined
  /** Connections that the backend behind it has accepted so far; absent where nobody counts them. */
  readonly accepted?: () => Promise<number>
}

/** One proxy under test: a process tree that listens on a port of its own and forwards to the backend. */
export interface Arm {
  readonly name: string
  readonly title: string
  /** None when left out: scenarios that need one go without this arm. */
  readonly abilities?: readonly Ability[]
  start(context: ArmContext): Promise<RunningArm>
}

/** Where an arm answers as soon as it and the backend are ready. */
export function armUrl(port: number, { tls }: Pick<ArmContext, 'tls'>): string {
  return `${tls ? 'https' : 'http'}://127.0.0.1:${port}/64`
}

/** Names of arms hold paths and options; those of their files do not. */
export function fileNameOf(name: string): string {
  return name.replaceAll(/[^\w.+-]+/g, '-').slice(0, 60)
}

/** Fills `@NAME@` in a committed config and writes it beside the pid files; gives the path. */
export function writeConfig(
  template: string,
  values: Readonly<Record<string, string | number>>,
  target: string,
): string {
  const text = readFileSync(new URL(template, import.meta.url), 'utf8').replaceAll(
    /@([A-Z]+)@/g,
    (_, name) => {
      if (values[name] === undefined) throw new Error(`${template}: no value for @${name}@`)
      return String(values[name])
    },
  )
  writeFileSync(target, text)
  return target
}

/** The config of an arm; its file stands beside this one. */
export interface Template {
  readonly file: string
  readonly abilities: readonly Ability[]
  /** Besides PORT, DIRECTORY and NAME. */
  values(context: ArmContext): Readonly<Record<string, string>>
}

/** An arm that needs one port, and one config file when it has a template. */
export function simpleArm(
  name: string,
  title: string,
  command: (parts: { config: string; port: number; context: ArmContext }) => readonly string[],
  template?: Template,
): Arm {
  return {
    name,
    title,
    abilities: template?.abilities,
    async start(context) {
      const port = await freePort(context.random)
      const config = join(context.directory, `${name}-${port}.conf`)
      if (template !== undefined) {
        const values = {
          ...template.values(context),
          PORT: port,
          DIRECTORY: context.directory,
          NAME: `${name}-${port}`,
        }
        writeConfig(template.file, values, config)
      }
      const started = context.processes.start(name, command({ config, port, context }), {
        cores: context.cores,
      })
      await waitUntilReady(started, armUrl(port, context))
      return { started, port, adminPort: undefined, setBackends: undefined }
    },
  }
}
