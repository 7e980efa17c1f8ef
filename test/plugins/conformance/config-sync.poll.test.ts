import { conforms } from './run.ts'

conforms('config-sync', 'poll', { fixture: { hints: false } })
