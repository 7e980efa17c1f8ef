import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'headers', { options: filterOptions.headers })
