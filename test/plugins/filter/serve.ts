/** An LB server in front of one backend, with a chain of filters for each path. */
import { beforeEach } from 'vitest'
import type { ConfigInput } from '#core/config/define'
import type { Cleanup } from '../../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../../harness/lb.ts'
import type { RawResponse } from '../../harness/message-reader.ts'
import { type RawBackend, rawBackend, response } from '../../harness/raw-backend.ts'
import { rawClient, request } from '../../harness/raw-client.ts'

export interface Served {
  readonly lb: Lb
  readonly backend: RawBackend
  /** Sends one request on a connection of its own; the path may follow the chain's name. */
  ask(chain: string, parts?: Parameters<typeof request>[0]): Promise<RawResponse>
}

/** Call it in `beforeAll`, with the `cleanup` of the file ({@link untilFileEnds}). The backend answers `ok` again before each test. */
export async function serve(
  cleanup: Cleanup,
  chains: Readonly<Record<string, readonly unknown[]>>,
  settings: Readonly<Record<string, unknown>> = {},
  services: Readonly<Record<string, unknown>> = {},
): Promise<Served> {
  const backend = await rawBackend(undefined, { cleanup })
  const own = (filters: readonly unknown[]) => ({ backends: [backend.url], breaker: neverOpens, filters })
  const entries = Object.entries(chains).map(([name, filters]) => [name, own(filters)])
  const config = {
    node: { threads: 1 },
    listeners: { web: { address: '127.0.0.1:0' } },
    routes: Object.keys(chains).map((name) => ({ match: { path: `/${name}` }, service: name })),
    services: { ...Object.fromEntries(entries), ...services },
    ...settings,
  }
  const lb = await startLb(config as ConfigInput, { cleanup })
  const ask: Served['ask'] = async (chain, parts = {}) => {
    const client = await rawClient(lb.port)
    return client.request(request({ ...parts, target: `/${chain}${parts.target ?? ''}` }))
  }
  return { lb, backend, ask }
}

/** Before each test: connections are closed, and the backend answers `ok`. */
export function freshBackend(served: () => Served): void {
  beforeEach(async () => {
    const { backend } = served()
    await backend.clear()
    backend.respond((_, connection) => connection.write(response({ body: 'ok' })))
  })
}
