/** Tables, picture and words about Maglev §5.3: what the paper found beside what was found here. */
import { type Bar, type BarGroup, barChart } from '../report/bar-chart.ts'
import type { Table } from '../report/rows.ts'
import type { Balance, HashingResults } from './hashing.ts'
import type { Figures } from './measures.ts'
import { paperPoints } from './methods.ts'

/** §5.3, with Figure 11: so much must backends be overprovisioned, by method and entries. Maglev: "almost perfect", no figure. */
const overprovisioned: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  ring: { 65537: 0.297, 655373: 0.103 },
  'ring-spaced': { 65537: 0.297, 655373: 0.103 },
  rendezvous: { 65537: 0.495, 655373: 0.123 },
}
/** §5.3: generation of a lookup table, milliseconds, on the machine of the paper. */
const generationMs: Readonly<Record<number, number>> = { 65537: 1.8, 655373: 22.9 }

const count = (value: number): string => value.toLocaleString('en')

function percentage(share: number): string {
  const value = share * 100
  return value === 0 ? '0 %' : `${value.toFixed(Math.abs(value) < 10 ? 2 : 1)} %`
}

/** Over the average: 1.407 → `+40.7 %`. */
function excess(over: number): string {
  const text = percentage(Math.abs(over - 1))
  return over < 1 ? `−${text}` : `+${text}`
}

const range = (text: (value: number) => string, { min, max, count: taken }: Figures): string =>
  taken > 1 ? ` (${text(min)} … ${text(max)})` : ''

const withRange = (text: (value: number) => string, figures: Figures): string =>
  `${text(figures.median)}${range(text, figures)}`

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`

/** What the paper gives as the excess of the fullest. */
const paperExcess = ({ method, entries }: Pick<Balance, 'method' | 'entries'>): number | undefined =>
  overprovisioned[method]?.[entries]

function balanceTable({ balance, sets, backends }: HashingResults): Table {
  const rows = balance.map((one) => {
    const paper = paperExcess(one)
    const said = one.method === 'maglev' ? 'almost perfect' : paper === undefined ? '' : excess(1 + paper)
    return [
      one.title,
      count(one.entries),
      withRange(excess, one.max),
      said,
      excess(one.p99.median),
      excess(one.p1.median),
      withRange(excess, one.min),
      one.buildMs === undefined ? 'none' : ms(one.buildMs.median),
    ]
  })
  const title = `Load balance: entries of a backend against the average of ${count(backends)}, over ${sets} sets of names`
  const head = ['method', 'entries', 'fullest', 'in the paper', 'p99', 'p1', 'emptiest', 'table built in']
  return { title, head, rows }
}

function resilienceTable({ resilience, backends }: HashingResults): Table {
  const mean = (figures: Figures): string => `${percentage(figures.mean)}${range(percentage, figures)}`
  const rows = resilience.map((one) => [
    one.title,
    count(one.entries),
    String(one.failed),
    percentage(one.ofFailed.mean),
    mean(one.moved),
    percentage(one.changed.mean),
    excess(one.maxAfter.mean),
    String(one.moved.count),
  ])
  const title = `Disruption: shares of all entries that change when some of ${count(backends)} backends fail; means`
  const head = ['method', 'entries', 'failed', 'theirs', 'moved besides', 'all changes', 'fullest after']
  return { title, head: [...head, 'trials'], rows }
}

export function hashingTables(results: HashingResults): Table[] {
  return [balanceTable(results), resilienceTable(results)]
}

const within = (value: number, { min, max }: Figures): boolean => value >= min && value <= max

/** One sentence a figure of the paper. */
function comparisons(results: HashingResults): string[] {
  return results.balance.flatMap((one) => {
    const said = paperExcess(one)
    if (said === undefined) return []
    const place = within(1 + said, one.max)
      ? 'within what'
      : 1 + said < one.max.min
        ? 'less than what any of'
        : 'more than what any of'
    const own = withRange(excess, one.max)
    const verdict = `${place} ${results.sets} sets of names gave here`
    return [
      `- ${one.title}, ${count(one.entries)} entries: ${own} here; the paper’s ${excess(1 + said)} is ${verdict}.`,
    ]
  })
}

function maglevSentences({ balance, resilience, backends }: HashingResults): string[] {
  return balance
    .filter(({ method }) => method === 'maglev')
    .map(({ entries, max, buildMs }) => {
      const moved = resilience.filter((one) => one.method === 'maglev' && one.entries === entries)
      const shares = moved.map(({ failed, moved: share }) => `${percentage(share.mean)} with ${failed}`)
      const paperMs = generationMs[entries]
      const built = buildMs === undefined ? '' : ` The table is built in ${ms(buildMs.median)}`
      const there =
        paperMs === undefined || built === '' ? '' : ` (${paperMs} ms in the paper, on its machine)`
      return (
        `- Maglev, ${count(entries)} entries: the fullest of ${count(backends)} has ${excess(max.median)}. Of the entries whose ` +
        `backend lives, these shares of all move when so many fail: ${shares.join(', ')}.${built}${there}.`
      )
    })
}

/** What is not Maglev's own table built anew, and what of it moved. */
function restSentence({ resilience }: HashingResults): string {
  const rest = resilience.filter(({ method }) => method !== 'maglev')
  const moving = [...new Set(rest.filter(({ moved }) => moved.max > 0).map(({ title }) => title))]
  if (moving.length > 0)
    return `- Against what the paper says, entries moved besides with: ${moving.join(', ')}.`
  return (
    '- Ring and rendezvous moved no entry besides those of the failed, as the paper says. Nor does Maglev where the table is ' +
    'kept and the failed are walked past, which is how Millrace treats a backend that is down; the table is built anew only ' +
    'when the config changes.'
  )
}

export function hashingWords(results: HashingResults): string[] {
  return [
    '## Maglev §5.3 again',
    '',
    'Eisenbud et al., “Maglev: A Fast and Reliable Software Network Load Balancer”, NSDI 2016, §5.3: one lookup table is ' +
      'populated by each method with 1,000 backends, of 65,537 and of 655,373 entries (“no special significance to these ' +
      `numbers except that they need to be prime”); Karger’s ring has ${paperPoints} views, here points, a backend. The paper says:`,
    '',
    '- Maglev balances almost perfectly, whatever the size of the table.',
    '- Karger and rendezvous need backends overprovisioned by 29.7 % and 49.5 % with the small table, by 10.3 % and 12.3 % with ' +
      'the large one.',
    '- When some backends fail, these two change no entry of the others by their nature; Maglev changes some: the more, the more ' +
      'backends fail at once, and the fewer, the larger the table is (Figure 12, averages of 200 repetitions; its values are ' +
      'only drawn, so none are quoted here).',
    '- Building the table takes 1.8 ms and 22.9 ms.',
    '',
    'Here every entry is asked of the plugin that Millrace runs (`plugins/algorithm`), with backends at random addresses and weights ' +
      'of 1. With Maglev entry i is slot i of its table. With the others it is the key `entry-i`, hashed; the paper does not say how its ' +
      'tables were populated, so the ring is also asked at evenly spaced positions, as if the table were the ring (“spaced”).',
    '',
    'Found:',
    '',
    ...maglevSentences(results),
    ...comparisons(results),
    restSentence(results),
    '',
  ]
}

/** Bars of shares as percentages. */
const bar = (label: string, figures: Figures, shift: number, ours = false): Bar => ({
  label,
  ours,
  value: {
    median: (figures.median - shift) * 100,
    min: (figures.min - shift) * 100,
    max: (figures.max - shift) * 100,
    count: figures.count,
  },
})

export function hashingChart(results: HashingResults): string {
  const groups: BarGroup[] = results.sizes.flatMap((entries) => [
    {
      title: `Fullest backend over the average, %: table of ${count(entries)} entries`,
      bars: results.balance
        .filter((one) => one.entries === entries)
        .map(({ title, method, max }) => bar(title, max, 1, method === 'maglev')),
    },
    {
      title: `Maglev, table built anew: entries of living backends that move, %: ${count(entries)} entries`,
      bars: results.resilience
        .filter((one) => one.entries === entries && one.method === 'maglev')
        .map(({ failed, moved }) => bar(`${failed} of ${count(results.backends)} failed`, moved, 0, true)),
    },
  ])
  const note = `${results.sets} sets of ${count(results.backends)} backends; median, whiskers smallest–largest; shorter is better`
  return barChart('Maglev §5.3 with Millrace’s plugins', note, groups)
}
