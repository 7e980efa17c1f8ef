import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'rate-limit', { options: filterOptions['rate-limit'] })
