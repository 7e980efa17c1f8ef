/**
 * Differential fuzz of the request parser against Node's own: `node test/fuzz/differential.ts --messages 1000000 --seed 1`.
 * Exits with 1 when there is a difference; each is printed with its bytes, so that it can be made a test.
 */
import { parseArgs } from 'node:util'
import { runDifferential } from './compare.ts'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    differences: { type: 'string', default: '20' },
  },
})
const started = performance.now()
const report = await runDifferential({
  messages: Number(values.messages),
  seed: Number(values.seed),
  maxDifferences: Number(values.differences),
  progress(done, { accepted, differences }) {
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    console.log(`${done} messages, ${accepted} accepted, ${differences.length} differences, ${seconds} s`)
  },
})
for (const difference of report.differences) {
  console.log(`\n${difference.kind}\n  bytes ${JSON.stringify(difference.bytes)}`)
  console.log(`  ours  ${JSON.stringify(difference.ours)}\n  node  ${JSON.stringify(difference.node)}`)
}
const { messages, accepted, incomplete, skipped, differences } = report
console.log(
  `\n${messages} messages (seed ${values.seed}): ${accepted} accepted and compared, ${incomplete} incomplete, ` +
    `${skipped} with methods outside Node's list, ${differences.length} differences`,
)
process.exitCode = differences.length > 0 ? 1 : 0
