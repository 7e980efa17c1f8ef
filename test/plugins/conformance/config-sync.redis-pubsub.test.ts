import { redisSyncSites } from '../config-sync/redis-sites.ts'
import { conforms } from './run.ts'

conforms('config-sync', 'redis-pubsub', {
  fixture: { hints: true, faults: ['cut'], start: redisSyncSites({}) },
})
