/** Runs fault schedules of the gossip protocol: `node test/fuzz/swim-schedules.ts [count] [first seed]`, 500 from 1 by default. */
import { runSwimSchedule } from './swim-schedule.ts'

const [count = 500, first = 1] = process.argv.slice(2).map(Number)
const sums = { crashes: 0, partitions: 0, news: 0 }
const failures: string[] = []
let slowest = 0
let slowestNews = 0
for (let seed = first; seed < first + count; seed++) {
  try {
    const { crashes, partitions, news, convergedMs, spreadMs } = runSwimSchedule(seed)
    sums.crashes += crashes
    sums.partitions += partitions
    sums.news += news
    slowest = Math.max(slowest, convergedMs)
    slowestNews = Math.max(slowestNews, spreadMs)
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error))
  }
}
for (const failure of failures) console.error(failure)
console.log(
  `${count} schedules, ${failures.length} failed; ${sums.crashes} crashes, ${sums.partitions} partitions, ${sums.news} announcements; ` +
    `slowest to agree: ${slowest} ms, slowest announcement: ${slowestNews} ms (fake time)`,
)
process.exitCode = failures.length === 0 ? 0 : 1
