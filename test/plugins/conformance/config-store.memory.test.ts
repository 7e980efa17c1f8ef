import { conforms } from './run.ts'

conforms('config-store', 'memory')
