/** `api:` of the config file: what spans several values, and tokens from their files. Of a token only its hash goes on. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isLoopback } from './addresses.ts'
import { asList, asMap } from './checks.ts'
import type { ConfigDocument } from './document.ts'
import { listenAddress } from './schema.ts'
import type { ApiConfig, ApiToken } from './snapshot.ts'

/** Where the API listens when the config does not say, and there is a store. */
export const usualApi = { host: '127.0.0.1', port: 9902, tokens: [], hosts: [] } as const satisfies ApiConfig

/** The shortest that a file may hold; as the schema has it for `token`. */
const shortestToken = 16

export interface ApiTokens {
  readonly tokens: readonly ApiToken[]
  /** Absolute paths of every file that was named. */
  readonly files: readonly string[]
}

/** How a token is kept and compared. It is long and random, not a password: nothing slower is needed. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

/** Problems go to the document. */
export async function checkApi(document: ConfigDocument, directory: string): Promise<ApiTokens> {
  const root = asMap(document.value)
  const api = asMap(root.api)
  const entries = asList(api.tokens).map(asMap)
  if (root.api !== undefined && root.api !== false && root.store === undefined) {
    const message = 'the API reads and writes a config store, and `store` is missing'
    document.report({ code: 'MR_CONFIG_INVALID', message, path: ['api'], atKey: true })
  }
  checkAddress(document, api.address, entries.length)
  checkNames(document, entries)
  const tokens: ApiToken[] = []
  const files: string[] = []
  for (const [index, { name, role, token, tokenFile }] of entries.entries()) {
    const file = typeof tokenFile === 'string' && tokenFile !== '' ? resolve(directory, tokenFile) : undefined
    if (file !== undefined) files.push(file)
    const text = file === undefined ? token : await readToken(document, file, index)
    if (typeof text === 'string' && typeof name === 'string')
      tokens.push({ name, role: role as ApiToken['role'], hash: hashToken(text) })
  }
  return { tokens, files }
}

function checkAddress(document: ConfigDocument, address: unknown, tokens: number): void {
  const parsed = listenAddress.safeParse(address)
  if (!parsed.success || isLoopback(parsed.data.host) || tokens > 0) return
  document.report({
    code: 'MR_CONFIG_INVALID',
    message: 'other machines reach the API here, and it has no token: everybody could change everything',
    path: ['api', 'address'],
    suggestion: 'bind 127.0.0.1, or list `tokens`',
  })
}

function checkNames(document: ConfigDocument, entries: readonly Readonly<Record<string, unknown>>[]): void {
  const seen = new Set<unknown>()
  for (const [index, { name }] of entries.entries()) {
    const path = ['api', 'tokens', index, 'name']
    if (typeof name === 'string' && seen.has(name))
      document.report({
        code: 'MR_CONFIG_DUPLICATE',
        message: `two tokens are called ${document.show(path, name)}: nobody could tell who it was`,
        path,
      })
    seen.add(name)
  }
}

/** What is wrong is told without anything of what the file holds. */
async function readToken(document: ConfigDocument, file: string, index: number): Promise<string | undefined> {
  const path = ['api', 'tokens', index, 'tokenFile']
  const wrong = (message: string): undefined => {
    document.report({ code: 'MR_CONFIG_FILE', message, path })
  }
  try {
    const token = (await readFile(file, 'utf8')).trim()
    if (token.length < shortestToken) return wrong(`the file holds less than ${shortestToken} characters`)
    return /^[\x21-\x7e]+$/.test(token) ? token : wrong('the file holds more than one word of ASCII')
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
    return wrong(`the file of the token cannot be read (${reason})`)
  }
}
