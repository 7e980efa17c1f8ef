/** How a process leaves: no request that was sent while it still accepted is lost. */
import type { Clock, Log } from '../contracts/plugin.ts'

export interface DrainSteps {
  readonly clock: Clock
  readonly log: Log
  readonly delayMs: number
  readonly timeoutMs: number
  /** Accepting goes on; responses carry `Connection: close`. */
  startDrain(): void
  closeListeners(): Promise<void>
  /** Settles when no exchange is active and every client connection has ended. */
  quiet(): Promise<void>
  /** Ends the delay early; an operator who waits can have it now. */
  readonly hurry?: AbortSignal
}

/**
 * The caller has failed `/readyz`. Then: `delayMs` of accepting with `Connection: close`, while balancers in front take notice → listeners close →
 * in-flight exchanges finish within `timeoutMs`.
 * @returns false when time was over before the last exchange had ended
 */
export async function drain(steps: DrainSteps): Promise<boolean> {
  steps.startDrain()
  if (steps.delayMs > 0) {
    steps.log.info('draining: still accepting', { ms: steps.delayMs })
    await pause(steps.clock, steps.delayMs, steps.hurry)
  }
  steps.log.info('draining: listeners close', { timeoutMs: steps.timeoutMs })
  const limit = timeout(steps.clock, steps.timeoutMs)
  const finished = steps.closeListeners().then(() => steps.quiet())
  const clean = await Promise.race([finished.then(() => true), limit.over])
  limit.cancel()
  if (clean) steps.log.info('drained')
  else steps.log.warn('drain timeout: what is still in flight is cut off', { timeoutMs: steps.timeoutMs })
  return clean
}

function pause(clock: Clock, ms: number, hurry: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (hurry?.aborted) return resolve()
    const timer = clock.after(ms, resolve)
    hurry?.addEventListener('abort', () => {
      timer.cancel()
      resolve()
    })
  })
}

function timeout(clock: Clock, ms: number): { over: Promise<false>; cancel(): void } {
  let cancel = (): void => {}
  const over = new Promise<false>((resolve) => {
    const timer = clock.after(ms, () => resolve(false))
    cancel = () => timer.cancel()
  })
  return { over, cancel }
}
