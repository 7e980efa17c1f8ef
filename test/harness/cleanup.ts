/** What a harness starts is stopped when the test ends, pass or fail; `beforeAll` passes `afterAll` instead. */
import { onTestFinished } from 'vitest'

export type Cleanup = (release: () => unknown) => void

export interface Scoped {
  /** Where the release is registered; default: the running test. */
  readonly cleanup?: Cleanup
}

export function release(scope: Scoped, run: () => unknown): void {
  const register =
    scope.cleanup ?? ((release: () => unknown) => onTestFinished(async () => void (await release())))
  register(run)
}
