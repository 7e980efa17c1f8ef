import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'ip-access', {
  options: filterOptions['ip-access'],
  fixture: {
    requests: [{ clientAddress: '10.1.2.3' }, { clientAddress: '10.7.7.7' }, { clientAddress: '::1' }],
  },
})
