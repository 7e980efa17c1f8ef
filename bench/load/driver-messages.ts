/** What the harness and the process of the open-loop driver tell each other, over Node's IPC channel. */
import type { OpenLoopOptions, OpenLoopResult } from './open-loop.ts'

/** One block; the next one is asked for when this one has been answered. */
export interface DriverCommand {
  readonly id: number
  readonly options: OpenLoopOptions
}

export type DriverAnswer =
  /** Warm; once, before anything else. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly id: number; readonly result: OpenLoopResult }
  | { readonly kind: 'error'; readonly id: number; readonly message: string }
