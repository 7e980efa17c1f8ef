import { conforms } from './run.ts'

conforms('algorithm', 'power-of-two-choices')
