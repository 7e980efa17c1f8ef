import { conforms } from './run.ts'

conforms('lock', 'store')
