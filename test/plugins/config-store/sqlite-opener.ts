/** A thread that opens each store file it is told of, and says what went wrong, or nothing. */
import { parentPort } from 'node:worker_threads'
import { StoreFault } from '../../../plugins/lib/sqlite/fault.ts'
import { StoreFile } from '../../../plugins/lib/sqlite/store-file.ts'

/** Nobody's lock is waited for in one try. */
function open(file: string): string {
  const store = new StoreFile(file)
  try {
    for (;;) {
      try {
        store.transact('read', () => undefined)
        return ''
      } catch (error) {
        if (!(error instanceof StoreFault && error.busy)) return String(error)
      }
    }
  } finally {
    store.close()
  }
}

parentPort!.on('message', (file: string) => parentPort!.postMessage(open(file)))
