import { networkSites } from '../config-sync/network-sites.ts'
import { conforms } from './run.ts'

conforms('config-sync', 'gossip', {
  fixture: { hints: true, faults: ['cut', 'lose', 'double', 'reorder'], start: networkSites({}) },
})
