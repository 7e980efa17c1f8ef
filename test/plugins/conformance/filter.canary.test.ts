import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'canary', { options: filterOptions.canary })
