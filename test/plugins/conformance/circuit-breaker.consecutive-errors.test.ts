import { conforms } from './run.ts'

conforms('circuit-breaker', 'consecutive-errors', { options: { errors: 4, open: '30s', permits: 3 } })
