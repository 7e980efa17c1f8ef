/** Several independent paths through one LB server: each lane has a listener, a service and a raw backend of its own, so
 * that what reaches the backend belongs to the one case that the lane replays at that moment. */
import type { Cleanup } from '../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../harness/lb.ts'
import type { BackendConnection, RawBackend } from '../harness/raw-backend.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'

export interface Lane {
  readonly port: number
  readonly backend: RawBackend
}

/** Answers every complete request with its number in `X-Id`, so that answers can be told apart. */
function answerWithId(backend: RawBackend): (connection: BackendConnection) => void {
  return (connection) => {
    const id = backend.requests.length
    connection.write(response({ fields: [`X-Id: ${id}`], body: `answer ${id}` }))
  }
}

/** Starts the LB server once for a file; `cleanup` is that of the file. */
export async function startLanes(count: number, cleanup: Cleanup): Promise<Lane[]> {
  const backends = await Promise.all(Array.from({ length: count }, () => rawBackend({}, { cleanup })))
  for (const backend of backends) {
    const answer = answerWithId(backend)
    backend.script = { onRequest: (_, connection) => answer(connection) }
  }
  const names = backends.map((_, i) => `lane-${i}`)
  const each = <T>(make: (i: number) => T): Record<string, T> =>
    Object.fromEntries(names.map((name, i) => [name, make(i)] as const))
  const lb: Lb = await startLb(
    {
      node: { threads: 1 },
      limits: { connectionsPerAddress: 10_000 },
      listeners: each((i) => ({ address: '127.0.0.1:0', routes: [{ service: names[i] }] })),
      services: each((i) => ({
        backends: [backends[i].url],
        breaker: neverOpens,
        // A replay would be seen as a request that nobody answered.
        retries: { attempts: 0 },
      })),
    },
    { cleanup },
  )
  return backends.map((backend, i) => ({ port: lb.portOf(names[i]), backend }))
}

/** Runs `job` for every item, one at a time per lane. */
export async function onLanes<T>(
  lanes: readonly Lane[],
  items: readonly T[],
  job: (item: T, lane: Lane) => Promise<void>,
): Promise<void> {
  let next = 0
  await Promise.all(
    lanes.map(async (lane) => {
      while (next < items.length) await job(items[next++], lane)
    }),
  )
}
