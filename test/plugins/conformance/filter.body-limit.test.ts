import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'body-limit', {
  options: filterOptions['body-limit'],
  fixture: { requests: [{}, { method: 'POST', body: 'a'.repeat(100) }] },
})
