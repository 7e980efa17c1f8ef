import { conforms } from './run.ts'

// On the kit's own store, which can be watched.
conforms('config-sync', 'native')
