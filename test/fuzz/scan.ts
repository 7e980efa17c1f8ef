/** `node test/fuzz/scan.ts 1000000 1`: that many mutated heads through scanner and parser; exits with 1 on a difference. */
import { compareScans } from './scan-compare.ts'

const [heads = '1000000', seed = '1'] = process.argv.slice(2)
const report = compareScans(Number(heads), Number(seed), (now) => {
  console.log(`${now.heads} heads, ${now.accepted} accepted, ${now.differences.length} differences`)
})
for (const difference of report.differences) console.log(JSON.stringify(difference, null, 2))
console.log(
  `${report.heads} heads (seed ${seed}): ${report.accepted} accepted, ${report.scanned} of them scanned, ` +
    `${report.differences.length} differences`,
)
process.exitCode = report.differences.length > 0 ? 1 : 0
