/** The report of `millrace bench` as Markdown, for the summary of a GitHub job or a README: the verdict, then the tables. */
import type { Outcome } from '../stats/blocks.ts'
import type { BenchResults } from './bench-results.ts'
import { costsTable } from './cost-table.ts'
import { gateLines, kneesTable } from './gate-words.ts'
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
import { headline, metricOf, pairIn, scenarioTitleIn, verdictInWords } from './words.ts'

/** Ends with a line break. Texts from users' configs are escaped. */
export function markdownSummary(results: BenchResults): string {
  const parts = [
    `# Millrace bench: ${escaped(results.suite)}`,
    `**${escaped(headline(results))}**`,
    ...gateLines(results).map((line) => `**${escaped(line)}**`),
    changes(results, 'worse'),
    changes(results, 'better'),
    ...results.notes.map((note) => `> ${escaped(note)}`),
    ...results.scenarios.flatMap((scenario) => [
      `## ${escaped(scenario.title)}`,
      escaped(loadInWords(scenario)),
      table(comparisonsTable(results, scenario.name)),
      table(mediansTable(results, scenario.name)),
      table(costsTable(results, scenario.name)),
    ]),
    '## The run',
    table(thrownOutTable(results)) || 'Every block counts.',
    table(armsTable(results)),
    table(kneesTable(results)),
    table(scenariosTable(results)),
    table(machineTable(results)),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function changes(results: BenchResults, outcome: Outcome): string {
  return results.comparisons
    .filter((comparison) => comparison.outcome === outcome)
    .map((comparison) => {
      const where = `${scenarioTitleIn(results, comparison.scenario)}, ${metricOf(comparison.metric).title}`
      const verdict = verdictInWords(comparison, results.confidence)
      return `- ${escaped(`${where}, ${pairIn(results, comparison)}: ${verdict}`)}`
    })
    .join('\n')
}

/** Empty without rows. */
function table({ title, columns, rows, notes = [] }: ResultTable): string {
  if (rows.length === 0) return ''
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`
  return [
    `### ${escaped(title)}`,
    '',
    line(columns.map((column) => column.title)),
    `| ${columns.map(({ isFigure }) => (isFigure ? '---:' : '---')).join(' | ')} |`,
    ...rows.map(({ cells }) => line(cells)),
    ...notes.flatMap((note) => ['', escaped(note)]),
  ].join('\n')
}

/** One line, shown as it is: nothing in it is Markdown or HTML. */
function escaped(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
  return text
    .replaceAll(/\s*[\r\n]+\s*/g, ' ')
    .replaceAll(/[&<>]/g, (character) => entities[character])
    .replaceAll(/[\\`*_[\]|~$]/g, '\\$&')
}
