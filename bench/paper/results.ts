/** What `millrace bench paper` writes as paper.json. */
import type { Machine } from '../stats/machine.ts'
import type { HashingResults } from './hashing.ts'
import type { SizingResults } from './sizing.ts'

/** Raised when a reader of older files would misunderstand. */
export const paperSchema = 1

export interface PaperResults {
  readonly schema: typeof paperSchema
  /** ISO 8601. */
  readonly startedAt: string
  readonly quick: boolean
  readonly seed: number
  readonly machine: Machine
  /** Absent: not asked for, or not measured; why stands in the notes. */
  readonly hashing: HashingResults | undefined
  readonly sizing: SizingResults | undefined
  readonly notes: readonly string[]
}
