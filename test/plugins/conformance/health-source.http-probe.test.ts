import { conforms } from './run.ts'

conforms('health-source', 'http-probe')
