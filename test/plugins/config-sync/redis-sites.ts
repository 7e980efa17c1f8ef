/** Fleets of the conformance kit on a real redis-server, each behind a relay of its own. */
import type { SyncSite } from 'millrace/conformance'
import { beforeAll } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { type RedisServer, startRedis } from '../../harness/redis.ts'
import { startRelay } from '../../harness/relay.ts'

/** For the top of a test file: one server for all its tests. */
export function redisSyncSites(options: object): () => Promise<SyncSite> {
  const cleanup = untilFileEnds()
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis({ cleanup })
  })
  return async () => {
    const relay = await startRelay(server.port, { cleanup: () => {} })
    return {
      options: { url: `redis://127.0.0.1:${relay.port}`, timeout: '2s', ...options },
      cut: () => relay.cut(),
      heal: () => relay.heal(),
      stop: () => relay.close(),
    }
  }
}
