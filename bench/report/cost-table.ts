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

/** Median of a metric over the blocks of one arm that count; NaN when none has it. */
type Values = (metric: string) => number

/** Title and unit → what stands there for an arm. A row a figure and a column an arm: there are more figures than fit beside each other. */
const lines: readonly (readonly [string, (of: Values, drifts: Drifts) => string])[] = [
  ['CPU per request, user + system, µs', (of) => `${figure(of('cpuUser'))} + ${figure(of('cpuSystem'))}`],
  ['Collections in a block', (of) => figure(of('gcCount'))],
  ['Collections per 1,000 requests', (of) => figure(of('gcPer1000'))],
  ['Pauses of a block, ms', (of) => figure(of('gcMs'))],
  ['Longest pause, ms', (of) => figure(of('gcLongest'))],
  ['Time in pauses', (of) => percent(of('gcShare'))],
  ['Allocated per request, bytes', (of) => figure(of('allocated'))],
  ['Live heap, MiB', (of) => figure(of('heap'))],
  ['Heap over the run, MiB/min', (_, { heap }) => rate(heap?.perMinute)],
  ['… its interval', (_, { heap }) => bounds(heap)],
  ['RSS within a block, MiB/min', (of) => rate(of('rssSlope'))],
  ['RSS over the run, MiB/min', (_, { rss }) => rate(rss?.perMinute)],
  ['… its interval', (_, { rss }) => bounds(rss)],
  ['Event loop busy', (of) => percent(of('loopBusy'))],
  ['Backend connections per 1,000 requests', (of) => figure(of('opened'))],
]

/** Medians of the blocks that count. No rows for results that were written before there were such figures. */
export function costsTable(results: BenchResults, scenario: string): ResultTable {
  const title = 'What else it costs'
  const arms = armsIn(results, scenario).filter((arm) =>
    costMetrics.some(({ name }) => metricSpread(results, scenario, arm, name) !== undefined),
  )
  if (arms.length === 0) return { title, columns: [], rows: [] }
  const columns = [text('Of the arm'), ...arms.map((arm) => figures(armTitleIn(results, arm)))]
  const drifts = arms.map((arm) => driftsOf(results, scenario, arm))
  const rows = lines.map(([what, cell]) => {
    const cells = arms.map((arm, index) => {
      const of: Values = (metric) => metricSpread(results, scenario, arm, metric)?.median ?? Number.NaN
      return cell(of, drifts[index]).replace(/^– \+ –$/, '–')
    })
    return { cells: [what, ...cells] }
  })
  const needed = fewestBlocks(results.confidence)
  const tooFew = drifts.some(({ rss }) => rss === undefined)
    ? [`–: a slope over the run needs ${needed} blocks that count, at least three of each process.`]
    : []
  return { title, columns, rows, notes: [...reasons(results, scenario), ...tooFew] }
}

interface Drifts {
  readonly heap: Slope | undefined
  readonly rss: Slope | undefined
}

const rate = (perMinute = Number.NaN): string => figure(perMinute).replace('-', '−')

const bounds = (slope: Slope | undefined): string =>
  slope === undefined ? '–' : `${rate(slope.low)} … ${rate(slope.high)}`

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
