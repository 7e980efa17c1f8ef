/** What the API says of revisions. */
import type { Head, Revision } from '../contracts/config-store.ts'

/** A revision without its value: who made it, when, and why. */
export interface HeadView {
  readonly revision: number
  readonly id: string
  readonly parent?: string
  readonly by: string
  readonly message?: string
  /** ISO 8601. */
  readonly at: string
  readonly bytes: number
  /** The document was removed. */
  readonly removed: boolean
}

export function viewOf({ revision, note, at, bytes, tombstone }: Head): HeadView {
  const { number, id, parent } = revision
  const { by, message } = note
  return { revision: number, id, parent, by, message, at: timeOf(at), bytes, removed: tombstone }
}

/** `revision 4 by ann at 2026-01-02T03:04:05.000Z: more backends` */
export function sentenceOf({ revision, by, at, message }: HeadView): string {
  return `revision ${revision} by ${by} at ${at}${message === undefined ? '' : `: ${message}`}`
}

export function timeOf(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString()
}

/** A strong tag: number and id, so that a fork has another one. */
export const etagOf = ({ number, id }: Pick<Revision, 'number' | 'id'>): string => `"${number}-${id}"`
