import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'rewrite', { options: filterOptions.rewrite })
