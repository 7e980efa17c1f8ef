/** What a micro-benchmark is. Lists of cases are data: what a case needs is made by `prepare`, shortly before it is measured,
 * and let go of afterwards, so that no case pays for the memory of another. */

export const groups = ['algorithms', 'breakers', 'filters', 'heads', 'snapshots'] as const
export type Group = (typeof groups)[number]

/** A case that is ready. */
export interface Running {
  /**
   * One call of what is measured. Its result is kept until the next call, so that nothing is optimised away; it must not
   * be a fraction, which would be boxed. Where a sample is one call: may be a promise, and of `{ overriddenDuration }`
   * (milliseconds) where only a part of the call is meant.
   * @param index counts up from call to call, so that inputs can take turns
   */
  run(index: number): unknown
  close?(): void
}

export interface MicroCase {
  readonly group: Group
  /** The plugin or function that is measured. Cases of one subject share a thread; others would spoil its code. */
  readonly subject: string
  readonly name: string
  /** Backends, or bytes. */
  readonly size?: number
  readonly unit?: 'backends' | 'bytes'
  /** Calls in a sample, 1,000 unless told otherwise. 1: the call is awaited. */
  readonly calls?: number
  /** What a call may take, in nanoseconds: what the report compares with, on whatever machine it is. */
  readonly targetNs?: number
  prepare(): Running | Promise<Running>
}

/** Unique among all cases. */
export function titleOf({ subject, name, size, unit }: MicroCase): string {
  const what = name === '' ? subject : `${subject}: ${name}`
  return size === undefined ? what : `${what}, ${size.toLocaleString('en')} ${unit ?? 'backends'}`
}

/** How many different inputs take turns: more than a branch predictor learns by heart, few enough to stay in the cache. */
export const inputs = 64
