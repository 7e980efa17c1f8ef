/**
 * What the probe in the Node programs under test costs them: Millrace with it and without it, interleaved as any two arms.
 * `npm run -s -w bench probe-cost -- [rounds] [seed]`; the CPU clock is read from outside in both.
 */

import type { Arm } from './arms/arm.ts'
import { millrace } from './arms/millrace.ts'
import { runSuite } from './harness/run-suite.ts'
import { comparisonsTable } from './report/result-tables.ts'
import { asText } from './report/tables.ts'
import { compareSuite } from './suites.ts'

const [rounds = 24, seed = Date.now() % 2 ** 31] = process.argv.slice(2).map(Number)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('interrupted')))

const withProbe: Arm = { ...millrace, name: 'probed', title: 'With the probe' }
const without: Arm = {
  name: 'bare',
  title: 'Without the probe',
  start: (context) => millrace.start({ ...context, processes: context.processes.unprobed() }),
}
const results = await runSuite({
  suite: { ...compareSuite, name: 'probe-cost', arms: ['bare', 'probed'], rounds },
  arms: [withProbe, without],
  baseline: 'bare',
  ...{ seed, confidence: 0.99, signal: stop.signal, say: console.log },
})
for (const { name, title } of results.scenarios) {
  const { columns, rows } = comparisonsTable(results, name)
  console.log(asText({ title, head: columns.map((c) => c.title), rows: rows.map(({ cells }) => cells) }))
}
console.log(`seed ${seed}`)
