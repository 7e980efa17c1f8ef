import { conforms } from './run.ts'

// It asks by itself, over the kit's network.
conforms('failure-detector', 'swim', { fixture: { fed: false } })
