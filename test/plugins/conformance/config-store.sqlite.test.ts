import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { StoreFixture } from 'millrace/conformance'
import { conforms } from './run.ts'

/** A folder for each test; it is moved away and back, as when a disk is unmounted. */
const fixture: StoreFixture = {
  faults: ['cut'],
  start() {
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-store-'))
    const data = path.join(folder, 'data')
    const away = path.join(folder, 'away')
    mkdirSync(data)
    return {
      context: { data },
      cut: () => renameSync(data, away),
      heal: () => renameSync(away, data),
      stop: () => rmSync(folder, { recursive: true, force: true }),
    }
  },
}

conforms('config-store', 'sqlite', { fixture })
