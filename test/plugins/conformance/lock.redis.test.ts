import { beforeAll } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { type RedisServer, startRedis } from '../../harness/redis.ts'
import { conforms } from './run.ts'

const cleanup = untilFileEnds()
let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ aof: true, cleanup })
})

conforms('lock', 'redis', {
  fixture: {
    async start() {
      await server.command('flushall')
      return { options: { url: server.url, timeout: '2s' } }
    },
  },
})
