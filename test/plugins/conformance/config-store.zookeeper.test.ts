import { randomUUID } from 'node:crypto'
import { beforeAll } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { startRelay } from '../../harness/relay.ts'
import { startZookeeper, type ZookeeperServer } from '../../harness/zookeeper.ts'
import { isAnswerToSet } from '../../harness/zookeeper-store.ts'
import { conforms } from './run.ts'

const cleanup = untilFileEnds()
let server: ZookeeperServer
beforeAll(async () => {
  server = await startZookeeper({ cleanup })
})

/** Each test has a node of its own to begin in. */
conforms('config-store', 'zookeeper', {
  fixture: {
    faults: ['cut', 'lose-answer'],
    async start() {
      const relay = await startRelay(server.port, { cleanup: () => {} })
      return {
        options: { url: `zookeeper://127.0.0.1:${relay.port}/${randomUUID()}`, timeout: '2s' },
        cut: () => relay.cut(),
        heal: () => relay.heal(),
        // Of a write it is the head that is set; all else is created.
        loseAnswer: () => relay.loseAnswer(isAnswerToSet),
        stop: () => relay.close(),
      }
    },
  },
})
