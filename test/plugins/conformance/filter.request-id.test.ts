import { conforms } from './run.ts'

conforms('filter', 'request-id', { options: { response: true } })
