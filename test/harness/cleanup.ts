/** What a harness starts is stopped when the test ends, pass or fail; `beforeAll` passes `afterAll` instead. */
import { afterAll, onTestFinished } from 'vitest'

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

/**
 * For what a whole file shares: called at its top, passed on in `beforeAll`. (An `afterAll` that is registered inside of `beforeAll` never
 * runs, and a program that was started so outlives the tests.)
 */
export function untilFileEnds(): Cleanup {
  const releases: (() => unknown)[] = []
  afterAll(async () => {
    for (const one of releases.reverse()) await one()
  })
  return (one) => void releases.push(one)
}
