/** Reads a config from where it stands. */
import { readFile } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { codeHash } from '../host/code-hash.ts'
import { versioned, withoutVersions } from '../host/resolver.ts'
import { type ConfigDocument, DataDocument } from './document.ts'
import type { Environment } from './expand.ts'
import { ConfigError, type Problem } from './problems.ts'
import { TextDocument } from './text-document.ts'

/** A file, or text that stands for one: `name` appears in problems, relative files are found from `directory`. */
export type ConfigSource = { path: string } | { text: string; name: string; directory: string }

export interface LoadedSource {
  readonly document: ConfigDocument
  /** Absolute. */
  readonly directory: string
  /** Absolute path of the file; undefined for text. */
  readonly file: string | undefined
}

const codeExtensions = new Set(['.ts', '.mts', '.js', '.mjs'])

/** @throws ConfigError when the file cannot be read or its text makes no sense at all */
export async function readSource(source: ConfigSource, env: Environment): Promise<LoadedSource> {
  if ('text' in source) {
    const document = textDocument(source.name, env, source.text)
    return { document, directory: resolve(source.directory), file: undefined }
  }
  const file = resolve(source.path)
  const around = { directory: dirname(file), file }
  const text = await readText(source.path, file)
  if (!codeExtensions.has(extname(file))) return { document: textDocument(source.path, env, text), ...around }
  return { document: await importConfig(source.path, file, env), ...around }
}

function textDocument(name: string, env: Environment, text: string): TextDocument {
  // JSON may be indented by tabs; they stand outside its strings only.
  const readable = extname(name) === '.json' ? text.replaceAll('\t', ' ') : text
  const document = new TextDocument(name, env, readable.replace(/^\ufeff/, ''))
  if (!document.readable) throw new ConfigError(document.problems)
  return document
}

async function readText(shown: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EACCES: 'no permission to read it',
      EISDIR: 'this is a folder',
    }
    throw new ConfigError([
      wholeFile('MR_CONFIG_READ', shown, reasons[code] ?? `it cannot be read (${code})`),
    ])
  }
}

function wholeFile(code: Problem['code'], file: string, message: string): Problem {
  return { code, message, file, line: 0, column: 0, path: '', frame: '' }
}

async function importConfig(shown: string, file: string, env: Environment): Promise<ConfigDocument> {
  const url = pathToFileURL(file).href
  let module: { default?: unknown }
  try {
    // The hash, over relative imports too, makes changed code a new module, so that a reload sees it.
    module = await import(versioned(url, await codeHash(url)))
  } catch (cause) {
    const reason = cause instanceof Error ? withoutVersions(cause.message).split('\n')[0] : 'it threw'
    throw new ConfigError([
      wholeFile('MR_CONFIG_READ', shown, `${basename(file)} cannot be imported: ${reason}`),
    ])
  }
  if (typeof module.default !== 'object' || module.default === null) {
    const message = 'the file has no default export that is a config: `export default defineConfig({ … })`'
    throw new ConfigError([wholeFile('MR_CONFIG_READ', shown, message)])
  }
  return new DataDocument(shown, env, module.default)
}
