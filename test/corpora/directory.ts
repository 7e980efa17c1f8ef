/** Where the public request collections are: beside the repository, not in it. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const corporaDirectory = fileURLToPath(new URL('../../../shared/corpora', import.meta.url))

/** False where the collections are absent; with CI=true that is an error. */
export function corporaPresent(): boolean {
  if (existsSync(corporaDirectory)) return true
  if (process.env.CI === 'true') throw new Error(`The request collections are missing: ${corporaDirectory}`)
  return false
}
