/** Waiting for a condition, so that no test sleeps for a guessed time. */

export interface UntilOptions {
  /** Milliseconds after which the wait fails; default 10 s, generous because the machine may be busy. */
  readonly timeoutMs?: number
}

/**
 * Resolves with the first truthy value of `condition`, which is asked every few milliseconds.
 * @param what what is waited for, as it should read in a failure: `the backend saw two requests`
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | null | false | 0 | '',
  options: UntilOptions = {},
): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? 10_000)
  for (;;) {
    const value = condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`Timed out waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Rejects with `what` when `promise` has not settled in time. */
export async function within<T>(what: string, promise: Promise<T>, timeoutMs = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Timed out waiting for ${what}`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
