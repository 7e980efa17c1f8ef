/** The report of `millrace bench` as one HTML file that fetches nothing. */
import { createHash } from 'node:crypto'
import type { Outcome } from '../stats/blocks.ts'
import type { BenchResults } from './bench-results.ts'
import { costsTable } from './cost-table.ts'
import { gateLines, kneesTable } from './gate-words.ts'
import { type PageData, pageData, type ScenarioCharts } from './page-data.ts'
import { pageParts } from './page-script.ts'
import {
  armsTable,
  comparisonsTable,
  loadInWords,
  machineTable,
  mediansTable,
  type ResultTable,
  scenariosTable,
  thrownOutTable,
} from './result-tables.ts'
import { headline, percent, tallyOf } from './words.ts'

/** Told by a mark as well as by colour. */
const outcomeMarks: Readonly<Record<Outcome, string>> = { worse: '■', better: '●', same: '◆', unclear: '○' }

/**
 * Everything inline: style, script, data. The tables stand without script; a policy in the page forbids everything that is not
 * this page's own. Texts may come from users' configs and are shown, never run.
 */
export function htmlReport(results: BenchResults): string {
  const { style, script } = pageParts()
  const data = pageData(results)
  const title = escapeHtml(`Millrace bench: ${results.suite}`)
  const policy =
    `default-src 'none'; script-src '${hashOf(script)}'; style-src '${hashOf(style)}'; ` +
    "img-src data:; base-uri 'none'; form-action 'none'"
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
    `<title>${title}</title>`,
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    '<main>',
    ...heading(results),
    ...results.scenarios.map((_, index) => scenarioSection(results, data, index)),
    runSection(results),
    '</main>',
    `<script type="application/json" id="data">${embedded(data)}</script>`,
    `<script>${script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

const hashOf = (text: string): string => `sha256-${createHash('sha256').update(text).digest('base64')}`

/** JSON that no text in it can end: inside a script element only `<` can begin a tag or a comment. */
function embedded(data: PageData): string {
  return JSON.stringify(data).replaceAll('<', '\\u003c')
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character])
}

function heading(results: BenchResults): string[] {
  const { machine, startedAt, seed } = results
  const tally = tallyOf(results.comparisons)
  const chips = (['worse', 'better', 'same', 'unclear'] as const).map(
    (outcome) => `<li class="${outcome}">${outcomeMarks[outcome]} ${tally[outcome]} ${outcome}</li>`,
  )
  const run = `${startedAt}, commit ${machine.commit}, seed ${seed}. ${machine.cpu}, ${machine.cores} cores.`
  return [
    '<header>',
    `<h1>Millrace bench: ${escapeHtml(results.suite)}</h1>`,
    `<p class="verdict">${escapeHtml(headline(results))}</p>`,
    ...gateLines(results).map((line) => `<p class="verdict">${escapeHtml(line)}</p>`),
    `<ul class="tally">${chips.join('')}</ul>`,
    `<p class="muted">${escapeHtml(run)}</p>`,
    ...results.notes.map((note) => `<p class="note">Note: ${escapeHtml(note)}</p>`),
    '</header>',
  ]
}

function scenarioSection(results: BenchResults, data: PageData, index: number): string {
  const scenario = results.scenarios[index]
  const charts = data.scenarios[index]
  const rest = [latencyFigure(charts, index), timelineFigure(charts, index)].filter((part) => part !== '')
  return [
    '<section>',
    `<h2>${escapeHtml(scenario.title)}</h2>`,
    `<p class="muted">${escapeHtml(loadInWords(scenario))}</p>`,
    forestFigure(results, charts, index),
    tableHtml(comparisonsTable(results, scenario.name)),
    tableHtml(mediansTable(results, scenario.name)),
    tableHtml(costsTable(results, scenario.name)),
    rest.length > 1 ? `<div class="pair">${rest.join('\n')}</div>` : rest.join(''),
    '</section>',
  ].join('\n')
}

const chartBox = (chart: string, index: number, label: string): string =>
  `<div data-chart="${chart}" data-scenario="${index}" role="group" aria-label="${label}"></div>`

function forestFigure(results: BenchResults, { forest }: ScenarioCharts, index: number): string {
  if (forest.length === 0) return '<p>Nothing could be compared here.</p>'
  const caption =
    `Median difference with its ${percent(results.confidence)} interval. Shaded: the threshold, within which a difference ` +
    'counts as none. Double arrows: outside of the chart. The arrow behind a metric points to where better is. Marks: ' +
    `${outcomeMarks.worse} worse, ${outcomeMarks.better} better, ${outcomeMarks.same} same, ${outcomeMarks.unclear} unclear.`
  return [
    '<figure>',
    '<h3>Difference to the baseline</h3>',
    `<figcaption>${caption}</figcaption>`,
    chartBox('forest', index, 'Differences with intervals; the table of comparisons has the same figures'),
    '</figure>',
  ].join('\n')
}

function latencyFigure({ curves }: ScenarioCharts, index: number): string {
  if (curves.length === 0) return ''
  return [
    '<figure>',
    '<h3>Latency by quantile</h3>',
    '<figcaption>From the intended start to the last byte; median of the blocks at each quantile.</figcaption>',
    chartBox('latency', index, 'Latency of each arm by quantile'),
    '</figure>',
  ].join('\n')
}

function timelineFigure({ timelines }: ScenarioCharts, index: number): string {
  if (timelines.length === 0) return ''
  const options = timelines.map(
    ({ title, unit }, choice) => `<option value="${choice}">${escapeHtml(`${title}, ${unit}`)}</option>`,
  )
  const crossed = timelines.some((timeline) => timeline.crossed.length > 0)
    ? ' ✕ with a number: the block does not count; why stands below under that number.'
    : ''
  return [
    '<figure>',
    '<h3>Blocks over time</h3>',
    `<figcaption><label>Metric <select>${options.join('')}</select></label>${crossed}</figcaption>`,
    chartBox('timeline', index, 'The metric of each block against time'),
    '</figure>',
  ].join('\n')
}

function runSection(results: BenchResults): string {
  return [
    '<section>',
    '<h2>The run</h2>',
    tableHtml(thrownOutTable(results), 'Every block counts.'),
    tableHtml(kneesTable(results)),
    '<div class="pair">',
    `<div>${tableHtml(armsTable(results))}${tableHtml(scenariosTable(results))}</div>`,
    `<div>${tableHtml(machineTable(results))}</div>`,
    '</div>',
    '</section>',
  ].join('\n')
}

/** @param empty what stands instead of a table without rows */
function tableHtml({ title, columns, rows, notes = [] }: ResultTable, empty = ''): string {
  if (rows.length === 0) return empty === '' ? '' : `<p>${escapeHtml(empty)}</p>`
  const head = columns.map(
    ({ title, isFigure }) => `<th scope="col"${figureClass(isFigure)}>${escapeHtml(title)}</th>`,
  )
  const body = rows.map(({ cells, outcome }) => {
    const row = cells.map((cell, column) => {
      const { title, isFigure } = columns[column]
      const verdict = outcome !== undefined && column === cells.length - 1
      const kind = verdict ? ` class="${outcome}"` : figureClass(isFigure)
      const mark = verdict ? `${outcomeMarks[outcome]} ` : ''
      return `<td role="cell" data-label="${escapeHtml(title)}"${kind}><span>${mark}${escapeHtml(cell)}</span></td>`
    })
    return `<tr role="row">${row.join('')}</tr>`
  })
  return [
    '<table class="report" role="table">',
    `<caption>${escapeHtml(title)}</caption>`,
    `<thead><tr>${head.join('')}</tr></thead>`,
    `<tbody>${body.join('\n')}</tbody>`,
    '</table>',
    ...notes.map((note) => `<p class="muted">${escapeHtml(note)}</p>`),
  ].join('\n')
}

const figureClass = (isFigure: boolean): string => (isFigure ? ' class="figure"' : '')
