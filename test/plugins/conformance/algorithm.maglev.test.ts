import { conforms } from './run.ts'

conforms('algorithm', 'maglev', { fixture: { hashed: true } })
