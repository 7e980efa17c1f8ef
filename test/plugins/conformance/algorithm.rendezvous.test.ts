import { conforms } from './run.ts'

conforms('algorithm', 'rendezvous', { fixture: { hashed: true } })
