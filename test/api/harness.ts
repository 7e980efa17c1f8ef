/** The LB API on a real socket over a real store, with a token of each role. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ApiOptions, type ApiServer, startApi } from '../../core/api/server.ts'
import { hashToken } from '../../core/config/check-api.ts'
import { configDocument, decodeConfig } from '../../core/config/sync/value.ts'
import type { ConfigStore } from '../../core/contracts/config-store.ts'
import { type RawClock, systemClock } from '../../core/host/clock.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { openStore } from '../../core/host/open-store.ts'
import { builtins } from '../../plugins/manifest.ts'
import { release, type Scoped } from '../harness/cleanup.ts'
import { testLog } from '../threads/fixtures/server.ts'

export const tokens = {
  read: 'reader-0123456789abcdef',
  operate: 'operator-0123456789abcdef',
  admin: 'admin-0123456789abcdef',
} as const
export type Who = keyof typeof tokens | 'nobody'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API answers
  readonly body: any
}

export interface Ask {
  /** Default: admin. */
  readonly who?: Who
  /** Sent as JSON, unless it is a text. */
  readonly body?: unknown
  /** Content type of a body that is a text; default YAML. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Api {
  readonly server: ApiServer
  readonly store: ConfigStore
  readonly lines: ReturnType<typeof testLog>['lines']
  /** Folder of the audit log. */
  readonly data: string
  ask(method: string, path: string, ask?: Ask): Promise<Answer>
  /** Number of the newest revision; 0: none. */
  revision(document?: string): Promise<number>
  /** What the store holds. */
  config(): Promise<unknown>
  /** Writes as another process would. */
  put(data: unknown, by?: string): Promise<Answer>
  /** What is on the disk. */
  audit(kind?: 'audit' | 'audit-refused'): Record<string, unknown>[]
}

export const config = (
  backends: readonly unknown[] = ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'],
) => ({
  filters: ['request-id'],
  routes: [{ service: 'shop' }],
  services: { shop: { algorithm: 'round-robin', backends } },
})

export interface ApiSettings extends Scoped {
  readonly store?: ConfigStore
  readonly options?: Partial<ApiOptions>
  /** Of the API alone. */
  readonly clock?: RawClock
}

export async function apiOf(settings: ApiSettings = {}): Promise<Api> {
  const data = mkdtempSync(join(tmpdir(), 'millrace-api-'))
  release(settings, () => rmSync(data, { recursive: true, force: true }))
  const registry = await loadPlugins([], builtins)
  const { lines, log } = testLog()
  const store = settings.store ?? (await sqlite(data, registry, log, settings))
  const server = await startApi(store, settings.clock ?? systemClock, log, {
    host: '127.0.0.1',
    port: 0,
    tokens: (['read', 'operate', 'admin'] as const).map((role) => ({
      ...{ name: role, role },
      hash: hashToken(tokens[role]),
    })),
    hosts: ['lb.example.com'],
    data,
    catalog: () => registry.catalog(),
    version: '1.2.3',
    ...settings.options,
  })
  release(settings, () => server.close())
  return new Client(server, store, lines, data)
}

async function sqlite(
  data: string,
  registry: Awaited<ReturnType<typeof loadPlugins>>,
  log: ReturnType<typeof testLog>['log'],
  settings: ApiSettings,
): Promise<ConfigStore> {
  const opened = await openStore(
    { use: 'sqlite', options: { path: join(data, 'store.db') }, path: 'store' },
    { registry, fleet: 'default', data, log, node: { id: 'test', boot: 'b' }, random: Math.random },
  )
  release(settings, () => opened.stop())
  return opened.store
}

class Client implements Api {
  readonly server: ApiServer
  readonly store: ConfigStore
  readonly lines: Api['lines']
  readonly data: string

  constructor(server: ApiServer, store: ConfigStore, lines: Api['lines'], data: string) {
    this.server = server
    this.store = store
    this.lines = lines
    this.data = data
  }

  async ask(method: string, path: string, { who = 'admin', body, type, headers }: Ask = {}): Promise<Answer> {
    const isText = typeof body === 'string'
    const answer = await fetch(this.server.url + path, {
      method,
      headers: {
        ...(who === 'nobody' ? {} : { authorization: `Bearer ${tokens[who]}` }),
        ...(body === undefined
          ? {}
          : { 'content-type': type ?? (isText ? 'application/yaml' : 'application/json') }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.includes('json') ?? false
    return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text }
  }

  async revision(document = configDocument): Promise<number> {
    return (await this.store.get(document, { fresh: true }))?.revision.number ?? 0
  }

  async config(): Promise<unknown> {
    const head = await this.store.get(configDocument, { fresh: true })
    return head && decodeConfig(head.value, head.note.schema ?? 1)
  }

  async put(data: unknown, message = 'by the test'): Promise<Answer> {
    const number = await this.revision()
    const precondition: Record<string, string> =
      number === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${number}"` }
    const query = `?message=${encodeURIComponent(message)}`
    const answer = await this.ask('PUT', `/v1/config${query}`, { body: data, headers: precondition })
    if (answer.status !== 200) throw new Error(`not written: ${JSON.stringify(answer.body)}`)
    return answer
  }

  audit(kind: 'audit' | 'audit-refused' = 'audit'): Record<string, unknown>[] {
    const text = readFileSync(join(this.data, `${kind}.jsonl`), 'utf8')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}

/** With headers that `fetch` sets itself, and bodies that do not end well. */
export function raw(
  { server }: Pick<Api, 'server'>,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string | Buffer,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const sent = http.request(
      { host: server.address, port: server.port, method, path, headers, agent: false },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          text += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}
