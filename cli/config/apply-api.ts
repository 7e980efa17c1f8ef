/** `millrace config apply --api`: through the API of a running LB server, which checks the config with its own plugins. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { canonical } from '../../core/config/canonical.ts'
import { unifiedDiff } from '../../core/config/line-diff.ts'
import { type ErrorCode, errorTable, MillraceError } from '../../core/host/errors.ts'
import { UsageError } from '../failure.ts'
import type { Host } from '../main.ts'
import type { Terminal } from '../terminal.ts'
import { readDynamic } from './dynamic-file.ts'
import { shownYaml } from './revisions.ts'

export interface ApiFlags {
  readonly api?: string
  readonly tokenFile?: string
  readonly message?: string
  readonly expect?: string
  readonly dryRun?: boolean
}

/** The store behind it may take its time. */
const timeoutMs = 30_000

interface Answer {
  readonly status: number
  readonly etag: string | null
  readonly body: unknown
}

interface Refusal {
  readonly code?: string
  readonly message?: string
  readonly hint?: string
  readonly problems?: readonly { readonly path: string; readonly message: string; readonly hint?: string }[]
}

/** Shows what changes, writes it on top of what was seen, and says which revision it is. */
export async function applyThroughApi(host: Host, file: string, flags: ApiFlags): Promise<void> {
  const { terminal } = host
  const ask = await caller(terminal, flags)
  const { data, redact } = await readDynamic(file, terminal, undefined)
  const head = await ask('GET', '/v1/config')
  const isThere = head.status !== 404
  if (isThere && head.status !== 200) throw refusalOf(head)
  const number = isThere ? Number(/\d+/.exec(head.etag ?? '')?.[0]) : 0
  if (flags.expect !== undefined && Number(flags.expect) !== number) {
    const now = isThere ? `the newest is ${number}` : 'the store holds no config yet'
    terminal.err(
      `${terminal.style('red', 'millrace:')} not written: expected revision ${flags.expect}, and ${now}`,
    )
    host.finish(1)
    return
  }
  if (isThere && canonical(head.body) === canonical(data)) {
    terminal.out(`unchanged: revision ${number}`)
    return
  }
  const lines = unifiedDiff(isThere ? shownYaml(head.body) : '', shownYaml(data))
  if (lines.length > 0) terminal.out(redact(lines.join('\n')))
  if (flags.dryRun) {
    terminal.out('not written: --dry-run')
    return
  }
  const query = flags.message === undefined ? '' : `?message=${encodeURIComponent(flags.message)}`
  const on: Record<string, string> = isThere ? { 'if-match': head.etag ?? '' } : { 'if-none-match': '*' }
  const written = await ask('PUT', `/v1/config${query}`, on, JSON.stringify(data))
  if (written.status !== 200) throw refusalOf(written, redact)
  terminal.out(`revision ${(written.body as { revision: number }).revision}`)
}

type Call = (method: string, at: string, headers?: Record<string, string>, body?: string) => Promise<Answer>

/** @throws UsageError; never with what may be a password or a token */
async function caller(terminal: Terminal, { api = '', tokenFile }: ApiFlags): Promise<Call> {
  const url = /^https?:\/\//.test(api) ? URL.parse(api) : null
  if (!url || url.username || url.password || url.search || url.hash)
    throw new UsageError('--api: expected a URL such as http://127.0.0.1:9902, without name and password')
  const base = api.replace(/\/+$/, '')
  const token = tokenFile === undefined ? terminal.env.MILLRACE_TOKEN : await readToken(terminal, tokenFile)
  const own: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {}
  return async (method, at, headers = {}, body) => {
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const signal = AbortSignal.timeout(timeoutMs)
    const answer = await fetch(base + at, {
      method,
      body,
      headers: { ...own, ...type, ...headers },
      signal,
    }).catch((error: Error) => {
      const { cause, message } = error
      const why = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : message
      throw new MillraceError('MR_NETWORK', `the API at ${base} does not answer: ${why}`)
    })
    const { status } = answer
    return { status, etag: answer.headers.get('etag'), body: await answer.json().catch(() => undefined) }
  }
}

async function readToken(terminal: Terminal, file: string): Promise<string> {
  try {
    return (await readFile(path.resolve(terminal.directory, file), 'utf8')).trim()
  } catch (error) {
    throw new UsageError(`--token-file: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Every mistake, as the API tells it. */
function refusalOf({ status, body }: Answer, redact: (text: string) => string = String): MillraceError {
  const { code = '', message, hint, problems = [] } = (body ?? {}) as Refusal
  const all = problems.map(
    (one) => `\n  ${one.path}: ${one.message}${one.hint === undefined ? '' : `; ${one.hint}`}`,
  )
  const told = `${message ?? `the API answered ${status}`}${hint === undefined || all.length > 0 ? '' : `; ${hint}`}`
  const known = Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'MR_NETWORK'
  return new MillraceError(known, redact(told + all.join('')))
}
