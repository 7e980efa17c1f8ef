import { beforeAll } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { type RedisServer, startRedis } from '../../harness/redis.ts'
import { startRelay } from '../../harness/relay.ts'
import { conforms } from './run.ts'

const cleanup = untilFileEnds()
let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ aof: true, cleanup })
})

conforms('config-store', 'redis', {
  fixture: {
    faults: ['cut', 'lose-answer'],
    async start() {
      await server.command('flushall')
      const relay = await startRelay(server.port, { cleanup: () => {} })
      return {
        options: { url: `redis://127.0.0.1:${relay.port}`, timeout: '2s' },
        cut: () => relay.cut(),
        heal: () => relay.heal(),
        loseAnswer: () => relay.loseAnswer('committed'),
        stop: () => relay.close(),
      }
    },
  },
})
