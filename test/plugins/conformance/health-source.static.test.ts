import { conforms } from './run.ts'

conforms('health-source', 'static', { fixture: { learns: 'set' } })
