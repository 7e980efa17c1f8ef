/** What every config store refuses before it sends anything: the limits of the contract's names, values and notes. */
import { MillraceError, maxValueBytes, type WriteNote } from 'millrace'

const namePattern = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/
const writeIdPattern = /^[A-Za-z0-9_-]{1,64}$/
const longestName = 200
const longestHolder = 200
const longestBy = 200
const longestMessage = 1000
const shortestTtlMs = 100

const refuse = (what: string): never => {
  throw new MillraceError('MR_STORE_LIMIT', what)
}

const shown = (text: unknown): string => {
  const whole = JSON.stringify(text) ?? String(text)
  return whole.length > 60 ? `${whole.slice(0, 60)}…` : whole
}

/** @throws MR_STORE_LIMIT */
export function checkName(name: string, of: 'document' | 'lease' = 'document'): void {
  if (typeof name === 'string' && name.length <= longestName && namePattern.test(name)) return
  refuse(
    `${shown(name)} is no name of a ${of}: expected 1 to ${longestName} of a-z A-Z 0-9 . _ - /, without an empty segment`,
  )
}

/** @throws MR_STORE_LIMIT */
export function checkWrite(
  document: string,
  value: Uint8Array | null,
  writeId: string,
  { by, message, schema }: WriteNote,
): void {
  checkName(document)
  if (value !== null && !(value instanceof Uint8Array))
    refuse(`${document}: a value is bytes (a Uint8Array), or null`)
  if (value !== null && value.byteLength > maxValueBytes)
    refuse(`${document}: the value has ${value.byteLength} bytes; at most ${maxValueBytes} are stored`)
  if (typeof writeId !== 'string' || !writeIdPattern.test(writeId))
    refuse(`${document}: ${shown(writeId)} is no write id: expected 1 to 64 of A-Z a-z 0-9 _ -`)
  if (typeof by !== 'string' || by.length > longestBy)
    refuse(`${document}: \`by\` of a write is text of at most ${longestBy} characters`)
  if (message !== undefined && (typeof message !== 'string' || message.length > longestMessage))
    refuse(`${document}: \`message\` of a write is text of at most ${longestMessage} characters`)
  if (schema !== undefined && !(Number.isSafeInteger(schema) && schema >= 1))
    refuse(`${document}: \`schema\` of a write is an integer from 1`)
}

/** @throws MR_STORE_LIMIT */
export function checkLease(name: string, holder: string, ttlMs: number): void {
  checkName(name, 'lease')
  if (typeof holder !== 'string' || holder.length < 1 || holder.length > longestHolder)
    refuse(`lease ${name}: a holder is text of 1 to ${longestHolder} characters`)
  if (!Number.isFinite(ttlMs) || ttlMs < shortestTtlMs)
    refuse(`lease ${name}: the time to live is at least ${shortestTtlMs} ms, not ${ttlMs}`)
}
