/** What a run says of its arms beside time and throughput; missing figures are a dash, and the reason stands once below. */
import { fewestBlocks } from '../stats/bootstrap.ts'
import { seededRandom } from '../stats/random.ts'
import { commonSlope, type Point, type Slope } from '../stats/slope.ts'
import type { BenchResults, Block, CostMetric } from './bench-results.ts'
import { costMetrics } from './bench-results.ts'
import { armsIn, counts, metricSpread } from './derive.ts'
import { figures, type ResultTable, text } from './result-tables.ts'
import { armTitleIn, figure, percent } from './words.ts'

const groupTitles: Readonly<Record<CostMetric['group'], string>> = {
  cpu: 'user and system CPU',
  node: 'collections, allocation, heap and event loop',
  memory: 'memory',
  connections: 'backend connections',
}

const columns = [
  text('Arm'),
  figures('CPU user + system per request, µs'),
  figures('Collections in a block (all pauses)'),
  figures('Collections per 1,000 requests'),
  figures('Time in collections'),
  figures('Longest pause, ms'),
  figures('Allocated per request, bytes'),
  figures('Live heap, MiB'),
  figures('Heap over the run, MiB/min'),
  figures('RSS within a block, MiB/min'),
  figures('RSS over the run, MiB/min'),
  figures('Event loop busy'),
  figures('Backend connections per 1,000 requests'),
]

/** A row an arm, medians of the blocks that count. No rows for results that were written before there were such figures. */
export function costsTable(results: BenchResults, scenario: string): ResultTable {
  const title = 'What else it costs'
  const arms = armsIn(results, scenario).filter((arm) =>
    costMetrics.some(({ name }) => metricSpread(results, scenario, arm, name) !== undefined),
  )
  const drifts = arms.map((arm) => driftsOf(results, scenario, arm))
  const rows = arms.map((arm, index) => ({ cells: cellsOf(results, scenario, arm, drifts[index]) }))
  const tooFew = drifts.some(({ rss }) => rss === undefined)
    ? [
        `–: a slope over the run needs ${fewestBlocks(results.confidence)} blocks that count, three of one process.`,
      ]
    : []
  return { title, columns, rows, notes: [...reasons(results, scenario), ...tooFew] }
}

interface Drifts {
  readonly heap: Slope | undefined
  readonly rss: Slope | undefined
}

function cellsOf(results: BenchResults, scenario: string, arm: string, drifts: Drifts): string[] {
  const of = (metric: string) => metricSpread(results, scenario, arm, metric)?.median ?? Number.NaN
  const both = (one: string, other: string, form: (one: string, other: string) => string) =>
    Number.isFinite(of(one)) && Number.isFinite(of(other)) ? form(figure(of(one)), figure(of(other))) : '–'
  return [
    armTitleIn(results, arm),
    both('cpuUser', 'cpuSystem', (user, system) => `${user} + ${system}`),
    both('gcCount', 'gcMs', (count, ms) => `${count} (${ms} ms)`),
    figure(of('gcPer1000')),
    percent(of('gcShare')),
    figure(of('gcLongest')),
    figure(of('allocated')),
    figure(of('heap')),
    slopeInWords(drifts.heap),
    figure(of('rssSlope')),
    slopeInWords(drifts.rss),
    percent(of('loopBusy')),
    figure(of('opened')),
  ]
}

function slopeInWords(slope: Slope | undefined): string {
  if (slope === undefined) return '–'
  return `${figure(slope.perMinute)} (${figure(slope.low)} … ${figure(slope.high)})`
}

/** Against the minutes that each process was at work: between its blocks it is idle. */
function driftsOf(results: BenchResults, scenario: string, arm: string): Drifts {
  const blocks = results.blocks
    .filter((block) => block.scenario === scenario && block.arm === arm && block.costs !== undefined)
    .sort((a, b) => a.startedAt - b.startedAt)
  const options = { confidence: results.confidence, random: seededRandom(results.seed) }
  const slope = (metric: string) => commonSlope(linesOf(blocks, metric), options)
  return { heap: slope('heap'), rss: slope('rss') }
}

/** One line a process; a block that does not count has its time in it, not its value. */
function linesOf(blocks: readonly Block[], metric: string): Point[][] {
  const lines = new Map<number, { seconds: number; points: Point[] }>()
  for (const block of blocks) {
    const { pid, loadSeconds } = block.costs!
    const line = lines.get(pid) ?? { seconds: 0, points: [] }
    line.seconds += loadSeconds
    const value = block.values[metric]
    if (counts(block) && Number.isFinite(value)) line.points.push({ seconds: line.seconds, value })
    lines.set(pid, line)
  }
  return [...lines.values()].map(({ points }) => points)
}

/** One sentence a reason, with the arms that it holds for. */
function reasons(results: BenchResults, scenario: string): string[] {
  const arms = new Map<string, Set<string>>()
  for (const block of results.blocks) {
    if (block.scenario !== scenario || !counts(block)) continue
    for (const [group, reason] of Object.entries(block.costs?.missing ?? {})) {
      const key = `${groupTitles[group as CostMetric['group']] ?? group}: ${reason}`
      arms.set(key, (arms.get(key) ?? new Set()).add(armTitleIn(results, block.arm)))
    }
  }
  return [...arms].map(([reason, names]) => `–: ${reason} (${[...names].join(', ')}).`)
}
