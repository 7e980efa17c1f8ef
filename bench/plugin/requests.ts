/**
 * With what requests a plugin is measured: the headers that it asks for, and the status that they are answered with. They stand once in
 * `my-filter.bench.yaml` beside `my-filter.ts`, with options to measure with; the command line goes before them.
 */
import { existsSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { didYouMean } from '../../core/host/did-you-mean.ts'
import { MillraceError } from '../../core/host/errors.ts'
import { wordsOf } from '../../core/host/issue-words.ts'
import { isFieldValue, isToken } from '../../core/http1/tables.ts'

/** Plain data: it goes to the threads that measure. */
export interface PluginRequests {
  /** Sent with every request, by name as it was written. */
  readonly headers: Readonly<Record<string, string>>
  /** Status that the plugin answers with; absent: the backend's 200. */
  readonly expect?: number
}

/** As they are written on the command line. */
export interface WrittenRequests {
  /** `name: value` each. */
  readonly headers?: readonly string[]
  readonly expect?: string
}

/** What a file beside the plugin says. */
export interface BenchSettings extends Partial<PluginRequests> {
  readonly options?: Readonly<Record<string, unknown>>
  /** Where it was read; undefined: there is none. */
  readonly file: string | undefined
}

const schema = z.strictObject({
  options: z.record(z.string(), z.unknown()).optional(),
  headers: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).optional(),
  expect: z.int().min(200).max(599).optional(),
})

/** They are about the message or the connection, which the load generator makes. */
const ofTheSender = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** `my-filter.bench.yaml` for `my-filter.ts`. */
export function settingsFile(plugin: string): string {
  return `${plugin.slice(0, -extname(plugin).length)}.bench.yaml`
}

/** @param plugin path of its file; undefined: it has none. @throws MR_USAGE that names the file and what is wrong in it */
export function readSettings(plugin: string | undefined): BenchSettings {
  const file = plugin === undefined ? undefined : settingsFile(plugin)
  if (file === undefined || !existsSync(file)) return { file: undefined }
  let value: unknown
  try {
    value = parse(readFileSync(file, 'utf8')) ?? {}
  } catch (cause) {
    throw new MillraceError('MR_USAGE', `${file} is no YAML: ${(cause as Error).message}`, { cause })
  }
  const found = schema.safeParse(value)
  if (!found.success) throw new MillraceError('MR_USAGE', `${file}: ${problemsOf(found.error, value)}`)
  for (const [name, text] of Object.entries(found.data.headers ?? {}))
    checkField(name, text, `${file}: headers`)
  return { ...found.data, file }
}

function problemsOf(error: z.ZodError, value: unknown): string {
  const known = Object.keys(schema.shape)
  const words = error.issues
    .flatMap((issue) => wordsOf(issue, value))
    .map(({ path, message }) => {
      const place = path.length === 0 ? '' : `${path.map(String).join('.')}: `
      const key = /^unknown key "(.*)"$/.exec(message)?.[1]
      return `${place}${message}${key === undefined ? '' : didYouMean(key, known) || `; known: ${known.join(', ')}`}`
    })
  return words.join('; ')
}

/** What the command line says, before what the file says. @throws MR_USAGE */
export function chooseRequests(written: WrittenRequests, settings: BenchSettings): PluginRequests {
  const headers = new Map(
    Object.entries(settings.headers ?? {}).map(([name, value]) => [name.toLowerCase(), { name, value }]),
  )
  for (const line of written.headers ?? []) {
    const [name, value] = readField(line)
    headers.set(name.toLowerCase(), { name, value })
  }
  const expect = written.expect === undefined ? settings.expect : readStatus(written.expect)
  return {
    headers: Object.fromEntries([...headers.values()].map(({ name, value }) => [name, value])),
    ...(expect === undefined ? {} : { expect }),
  }
}

function readField(line: string): [name: string, value: string] {
  const colon = line.indexOf(':')
  if (colon <= 0)
    throw new MillraceError('MR_USAGE', `--header: 'name: value' expected, not ${JSON.stringify(line)}`)
  const name = line.slice(0, colon).trim()
  const value = line.slice(colon + 1).trim()
  checkField(name, value, '--header')
  return [name, value]
}

function checkField(name: string, value: string, where: string): void {
  const problem = fieldProblem(name, value)
  if (problem !== undefined) throw new MillraceError('MR_USAGE', `${where}: ${problem}`)
}

function fieldProblem(name: string, value: string): string | undefined {
  const isName = name !== '' && [...name].every((character) => isToken[character.charCodeAt(0)] === 1)
  if (!isName) return `${JSON.stringify(name)} is no name of a header`
  if (ofTheSender.has(name.toLowerCase())) return `${name} belongs to whoever sends the request`
  const codes = [...value].map((character) => character.charCodeAt(0))
  const isValue = codes.every((code) => code < 256 && isFieldValue[code] === 1)
  return isValue ? undefined : `the value of ${name} holds a character that no header can hold`
}

function readStatus(text: string): number {
  const status = Number(text)
  if (Number.isInteger(status) && status >= 200 && status <= 599) return status
  throw new MillraceError('MR_USAGE', `--expect: a status from 200 to 599 expected, not "${text}"`)
}

/** As they stand in the head of a request. */
export function fieldLines({ headers }: Pick<PluginRequests, 'headers'>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}
