import { conforms } from './run.ts'

conforms('algorithm', 'round-robin', { fixture: { shares: 'even' } })
