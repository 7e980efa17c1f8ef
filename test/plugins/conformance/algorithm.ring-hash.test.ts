import { conforms } from './run.ts'

conforms('algorithm', 'ring-hash', { fixture: { hashed: true } })
