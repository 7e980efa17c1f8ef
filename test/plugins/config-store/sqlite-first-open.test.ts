import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'

test('those who open a new store at once find it empty or made, never half made', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-first-open-'))
  const threads = Array.from(
    { length: 3 },
    () => new Worker(new URL('./sqlite-opener.ts', import.meta.url), { execArgv: [] }),
  )
  onTestFinished(async () => {
    for (const thread of threads) await thread.terminate()
    rmSync(folder, { recursive: true, force: true })
  })
  const wrong = new Set<string>()
  // Before it looked in one view, one in two of these files was taken for another program's.
  for (let i = 0; i < 150; i++) {
    const answers = threads.map((thread) => once(thread, 'message'))
    for (const thread of threads) thread.postMessage(path.join(folder, `${i}.db`))
    for (const [answer] of await Promise.all(answers)) wrong.add(answer)
  }
  expect([...wrong]).toEqual([''])
})
