import { beforeAll } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { type RedisServer, startRedis } from '../../harness/redis.ts'
import { conforms } from './run.ts'

const cleanup = untilFileEnds()
const servers: RedisServer[] = []
beforeAll(async () => {
  servers.push(...(await Promise.all([1, 2, 3, 4, 5].map(() => startRedis({ cleanup })))))
})

conforms('lock', 'redlock', {
  options: { nodes: [1, 2, 3].map((host) => `redis://127.0.0.${host}`) },
  fixture: {
    async start() {
      await Promise.all(servers.map((server) => server.command('flushall')))
      return { options: { nodes: servers.map(({ url }) => url), timeout: '2s' } }
    },
  },
})
