import { redisSyncSites } from '../config-sync/redis-sites.ts'
import { conforms } from './run.ts'

conforms('config-sync', 'redis', {
  fixture: { hints: true, faults: ['cut'], start: redisSyncSites({ heartbeat: '200ms' }) },
})
