/** What SQLite and the file system report, in the words of the contract of config stores. */
import type { ErrorCode } from 'millrace'
import type { FaultData } from './messages.ts'

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
const result = {
  perm: 3,
  busy: 5,
  locked: 6,
  readonly: 8,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  protocol: 15,
  mismatch: 20,
  auth: 23,
  notADatabase: 26,
} as const

const denied: readonly number[] = [result.perm, result.readonly, result.auth]
const unreadable: readonly number[] = [result.corrupt, result.mismatch, result.notADatabase]
const locked: readonly number[] = [result.busy, result.locked, result.protocol]
const deniedSystem: readonly unknown[] = ['EACCES', 'EPERM', 'EROFS']

/** An error that is already in those words. */
export class StoreFault extends Error implements FaultData {
  readonly code: ErrorCode
  readonly uncertain: boolean
  /** Somebody else has the lock: nothing was done, and it is to be tried again. */
  readonly busy: boolean

  constructor(code: ErrorCode, message: string, uncertain = false, busy = false) {
    super(message)
    this.code = code
    this.uncertain = uncertain
    this.busy = busy
  }
}

const primaryOf = (error: unknown): number | undefined => {
  const { errcode } = error as { errcode?: unknown }
  return typeof errcode === 'number' ? errcode & 0xff : undefined
}

export function faultOf(error: unknown, path: string, uncertain: boolean): StoreFault {
  if (error instanceof StoreFault) return error
  const { message } = error as Error
  const { code: system } = error as NodeJS.ErrnoException
  const code = primaryOf(error)
  const say = (kind: ErrorCode, what: string): StoreFault =>
    new StoreFault(kind, `${path}: ${what} (${message})`, uncertain)
  if (code !== undefined && locked.includes(code))
    return new StoreFault(
      'MR_STORE_UNAVAILABLE',
      `${path}: another process holds its lock for too long`,
      false,
      true,
    )
  if (deniedSystem.includes(system) || (code !== undefined && denied.includes(code)))
    return say('MR_STORE_DENIED', 'this process may not write here')
  if (code !== undefined && unreadable.includes(code))
    return say('MR_STORE_DATA', 'the file is damaged, or no database of millrace')
  if (code === result.full || system === 'ENOSPC') return say('MR_STORE_UNAVAILABLE', 'the disk is full')
  if (code === result.cantOpen) return say('MR_STORE_UNAVAILABLE', 'the file cannot be opened')
  return say('MR_STORE_UNAVAILABLE', 'the database failed')
}
