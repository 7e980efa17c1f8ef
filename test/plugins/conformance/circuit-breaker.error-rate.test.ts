import { conforms } from './run.ts'

conforms('circuit-breaker', 'error-rate', { options: { minRequests: 4, open: '30s', permits: 3 } })
