/** Runs fault schedules of the config sync: `node test/fuzz/sync-schedules.ts [count] [first seed]`, 500 from 1 by default. */
import { runSchedule } from './sync-schedule.ts'

const [count = 500, first = 1] = process.argv.slice(2).map(Number)
const sums = { writes: 0, forks: 0, restarts: 0 }
const failures: string[] = []
let slowest = 0
let slowestFork = 0
for (let seed = first; seed < first + count; seed++) {
  try {
    const { writes, forks, restarts, convergedMs } = await runSchedule(seed)
    sums.writes += writes
    sums.forks += forks
    sums.restarts += restarts
    if (forks > 0) slowestFork = Math.max(slowestFork, convergedMs)
    else slowest = Math.max(slowest, convergedMs)
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error))
  }
}
for (const failure of failures) console.error(failure)
console.log(
  `${count} schedules, ${failures.length} failed; ${sums.writes} writes, ${sums.restarts} restarts, ${sums.forks} forks; ` +
    `slowest to converge: ${slowest} ms, with forks ${slowestFork} ms (fake time)`,
)
process.exitCode = failures.length === 0 ? 0 : 1
