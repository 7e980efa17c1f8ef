import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'compress', {
  options: filterOptions.compress,
  fixture: { requests: [{ headers: { 'accept-encoding': 'br, gzip' } }, {}] },
})
