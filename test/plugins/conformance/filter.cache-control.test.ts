import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'cache-control', { options: filterOptions['cache-control'] })
