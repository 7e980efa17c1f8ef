import { filterOptions } from '../filter-options.ts'
import { conforms } from './run.ts'

conforms('filter', 'basic-auth', {
  options: filterOptions['basic-auth'],
  fixture: {
    requests: [
      {},
      ...['YW5uOnNlY3JldA==', 'YW5uOndyb25n'].map((right) => ({
        headers: { authorization: `Basic ${right}` },
      })),
    ],
  },
})
