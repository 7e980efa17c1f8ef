/** A thread of its own for the cases of one subject: what the engine learned from other code, and their garbage, must not show
 * in the figures. Posts a {@link ThreadResult} for each case. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Group, titleOf } from './case.ts'
import { casesOf } from './cases.ts'
import { defaultCalls, type Measured, measure, type Plan } from './measure.ts'

export interface ThreadWork {
  readonly group: Group
  readonly subject: string
  readonly plan: Plan
}

export interface ThreadResult {
  /** Of the case. */
  readonly title: string
  readonly measured: Measured
}

const { group, subject, plan } = workerData as ThreadWork
for (const one of await casesOf([group])) {
  if (one.subject !== subject) continue
  const running = await one.prepare()
  try {
    const measured = await measure(running, one.calls ?? defaultCalls, plan)
    parentPort?.postMessage({ title: titleOf(one), measured } satisfies ThreadResult)
  } finally {
    running.close?.()
  }
}
