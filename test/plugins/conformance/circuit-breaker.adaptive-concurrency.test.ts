import { conforms } from './run.ts'

conforms('circuit-breaker', 'adaptive-concurrency', { fixture: { opens: false } })
