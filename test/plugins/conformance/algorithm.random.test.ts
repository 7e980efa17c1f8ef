import { conforms } from './run.ts'

conforms('algorithm', 'random')
