import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'jwt', {
  options: filterOptions.jwt,
  fixture: { requests: [{}, { headers: { authorization: 'Bearer a.b.c' } }] },
})
