import { conforms } from './run.ts'

conforms('algorithm', 'weighted-round-robin')
