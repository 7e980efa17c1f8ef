/** One LB server and one raw backend for all tests of a file; each test gets a backend that has seen nothing. */
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { untilFileEnds } from './cleanup.ts'
import { type Lb, type SimpleSettings, simpleConfig, startLb } from './lb.ts'
import { type BackendScript, type RawBackend, rawBackend, response } from './raw-backend.ts'
import { type ClientOptions, type RawClient, rawClient } from './raw-client.ts'

export interface Fixture {
  readonly lb: Lb
  readonly backend: RawBackend
  /** A new client connection to the first listener. */
  connect(options?: ClientOptions): Promise<RawClient>
}

const answerOk: BackendScript = {
  onRequest: (_, connection) => connection.write(response({ body: 'ok' })),
}

const plugin = (name: string): string => fileURLToPath(new URL(`./plugins/${name}.ts`, import.meta.url))

/** Ways of a message through the proxy: what holds for one must hold for all. For `describe.each`. */
export const ways: readonly (readonly [string, readonly string[]])[] = [
  ['untouched', []],
  ['edited by a filter', ['editing']],
  ['through body transforms', ['passing']],
]

/** Call it once at the top of a file or a `describe`. `filters` are those of {@link ways}. */
export function fixture(given: SimpleSettings = {}, filters: readonly string[] = []): Fixture {
  const service = filters.length === 0 ? given.service : { filters, ...given.service }
  const settings = { ...given, service, plugins: filters.map(plugin) }
  let lb: Lb | undefined
  let backend: RawBackend | undefined
  const need = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('The fixture has not been started')
    return value
  }
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    backend = await rawBackend(answerOk, { cleanup })
    lb = await startLb(simpleConfig([backend], settings), { cleanup })
  })
  beforeEach(async () => {
    await need(backend).clear()
    need(backend).script = answerOk
  })
  // Whatever a test is about: what the proxy sends is strict HTTP, though a connection may end inside a request.
  afterEach(() => {
    const errors = need(backend).connections.map(({ error }) => error)
    expect(errors.filter((error) => error !== undefined && !error.startsWith('connection ended'))).toEqual([])
  })
  return {
    get lb() {
      return need(lb)
    },
    get backend() {
      return need(backend)
    },
    connect: (options) => rawClient(need(lb).port, options),
  }
}
