import { conforms } from './run.ts'

conforms('algorithm', 'peak-ewma')
