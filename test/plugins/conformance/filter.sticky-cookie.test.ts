import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'sticky-cookie', {
  options: filterOptions['sticky-cookie'],
  fixture: { requests: [{}, { headers: { cookie: 'a=b' } }] },
})
