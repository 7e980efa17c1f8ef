import { conforms } from './run.ts'

conforms('algorithm', 'least-connections')
