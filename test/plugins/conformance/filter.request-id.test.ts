import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'request-id', { options: filterOptions['request-id'] })
