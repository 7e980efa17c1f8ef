import { conforms } from './run.ts'

conforms('filter', 'headers', {
  options: {
    request: { set: { 'x-a': '1' }, remove: ['cookie'] },
    response: { append: { 'x-b': ['2', '3'] } },
  },
})
