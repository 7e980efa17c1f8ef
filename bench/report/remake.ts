/** `millrace bench report`: everything that can be made of a results.json, made anew. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { historyTables, machinesNote } from './history.ts'
import { readResults } from './read-results.ts'
import { asMarkdown, asText } from './tables.ts'
import { writeResults } from './write-results.ts'

/** The second measurement of a comparison lies in this folder beside the first. */
export const rerunFolder = 'rerun'

/**
 * @param path of a results.json or of a folder that holds one, with what `compare` measured again
 * @param out undefined: beside the file
 * @returns what the terminal shows
 * @throws MR_BENCH_FILE
 */
export function remakeReports(path: string, out?: string): string {
  const { file, results } = readResults(path)
  const directory = out ?? defaultFolder(file)
  const rerun = join(dirname(file), rerunFolder)
  const again = basename(file) === 'results.json' && existsSync(join(rerun, 'results.json'))
  return [
    writeResults(results, directory),
    `report: ${resolve(directory, 'report.html')}`,
    ...(again ? ['\nMeasured once more:', remakeReports(rerun, join(directory, rerunFolder))] : []),
  ].join('\n')
}

/** Another name than results.json: a folder of its own, as the one beside it may belong to another run. */
function defaultFolder(file: string): string {
  return basename(file) === 'results.json' ? dirname(file) : `${file.replace(/\.json$/, '')}-report`
}

/**
 * @param paths of two or more runs, in any order
 * @param out for history.md; undefined: only shown
 * @returns what the terminal shows
 * @throws MR_BENCH_FILE
 */
export function history(paths: readonly string[], out?: string): string {
  const runs = paths.map((path) => readResults(path).results)
  const tables = historyTables(runs)
  const note = machinesNote(runs)
  const lines = [...tables.map(asText), '']
  if (note !== undefined) lines.push(`! ${note}`)
  if (out === undefined) return lines.join('\n')
  mkdirSync(out, { recursive: true })
  const file = join(out, 'history.md')
  const parts = ['# Millrace bench: history', ...(note === undefined ? [] : [`> ${note}`])]
  writeFileSync(file, `${[...parts, ...tables.map(asMarkdown)].join('\n\n')}\n`)
  return [...lines, `written to ${file}`].join('\n')
}
