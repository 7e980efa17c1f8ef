/** What Redis and its driver say, as errors of ours. */
import { type ErrorCode, MillraceError } from 'millrace'

/** The call was sent, and nobody knows what came of it: the answer was lost, or is late. */
export class AnswerLost extends MillraceError {
  constructor(message: string, cause?: unknown) {
    super('MR_STORE_UNAVAILABLE', message, { plugin: 'redis', cause: withoutCommand(cause) })
  }
}

/** Words that an answer begins with, https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors. */
const denied = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM'])
const foreign = new Set(['WRONGTYPE', 'MRDATA'])

export const storeError = (code: ErrorCode, message: string, cause?: unknown): MillraceError =>
  new MillraceError(code, message, { plugin: 'redis', cause: withoutCommand(cause) })

/** An answer of the server, as opposed to a fault on the way. */
export const isReply = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'ReplyError'

export const wordOf = (error: Error): string => {
  // Before Redis 7 what a script ran into stands inside another message.
  const inner = /^ERR Error running script.*?-([A-Z]+) /.exec(error.message)
  return inner?.[1] ?? /^-?([A-Z]+)/.exec(error.message)?.[1] ?? ''
}

/** @param place of the server, for the message */
export function errorOf(error: unknown, place: string): MillraceError {
  if (error instanceof MillraceError) return error
  const text =
    error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error)
  if (!isReply(error)) return storeError('MR_STORE_UNAVAILABLE', `${place} cannot be asked: ${text}`, error)
  const word = wordOf(error)
  if (denied.has(word) || /^ERR (?:invalid password|Client sent AUTH)/.test(text))
    return storeError('MR_STORE_DENIED', `${place} refuses access: ${text}`, error)
  if (foreign.has(word))
    return storeError(
      'MR_STORE_DATA',
      `${place} holds what is not ours: ${text.replace(/^MRDATA /, '')}`,
      error,
    )
  return storeError('MR_STORE_UNAVAILABLE', `${place} did not do it: ${text}`, error)
}

/** The driver hangs the command on its errors, passwords and values with it: nobody logs those by way of us. */
function withoutCommand(cause: unknown): unknown {
  if (!(cause instanceof Error) || cause instanceof MillraceError) return cause
  const bare = new Error(cause.message)
  bare.name = cause.name
  return bare
}
