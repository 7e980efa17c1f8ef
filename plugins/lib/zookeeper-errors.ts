/** What ZooKeeper and its client say, as errors of ours. */
import { type ErrorCode, MillraceError } from 'millrace'

/** It was sent, and nobody knows what came of it. */
export class AnswerLost extends MillraceError {
  constructor(message: string, cause?: unknown) {
    super('MR_STORE_UNAVAILABLE', message, { plugin: 'zookeeper', cause })
  }
}

export const storeError = (code: ErrorCode, message: string, cause?: unknown): MillraceError =>
  new MillraceError(code, message, { plugin: 'zookeeper', cause })

/** The answers that are told apart, of `ZOO_ERRORS` in zookeeper.h. */
export const codes = {
  done: 0,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  exists: -110,
  notEmpty: -111,
  invalidAcl: -114,
  authFailed: -115,
} as const

/** Below -100 it is the server that speaks; but of these it is the client, about a session that is over. */
const ofTheClient = new Set([-112, -116, -118])

/** @param what was to be done, where */
export function errorOf(rc: number, text: string, what: string): MillraceError {
  if (rc > -100 || ofTheClient.has(rc)) return new AnswerLost(`${what}: the answer was lost: ${text}`)
  if (rc === codes.noAuth || rc === codes.authFailed || rc === codes.invalidAcl)
    return storeError('MR_STORE_DENIED', `${what}: refused: ${text}`)
  return storeError('MR_STORE_UNAVAILABLE', `${what}: not done: ${text}`)
}
