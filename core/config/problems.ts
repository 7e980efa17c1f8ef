/** Problems of a config file: all at once, each with its place, a code frame and, where one is likely, a suggestion. */
import { type ErrorCode, MillraceError } from '../host/errors.ts'

export interface Problem {
  readonly code: ErrorCode
  readonly message: string
  /** As the user named it. */
  readonly file: string
  /** From 1; 0 where the place is not known (a config written in TypeScript). */
  readonly line: number
  readonly column: number
  /** In the config, e.g. `services.api.backends[0].url`; empty: the file as a whole. */
  readonly path: string
  /** Source lines with a caret; empty where the place is not known. */
  readonly frame: string
  /** What to do, e.g. `did you mean "least-connections"?` or `quote this: "[::1]:80"`. */
  readonly suggestion?: string
}

/** Thrown with every problem that was found; `code` is the first one's. */
export class ConfigError extends MillraceError {
  readonly problems: readonly Problem[]
  /** Absolute paths of files that the config names and that may not be there yet: a change of them is worth another try. */
  readonly files: readonly string[]

  constructor(problems: readonly Problem[], files: readonly string[] = []) {
    super(problems[0]?.code ?? 'MR_CONFIG_INVALID', formatProblems(problems), { path: problems[0]?.path })
    this.name = 'ConfigError'
    this.problems = problems
    this.files = files
  }
}

export type ConfigPath = readonly (string | number)[]

/** `services.api.backends[0].url`; keys that are no plain words stand in brackets and quotes. */
export function renderPath(path: ConfigPath): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[A-Za-z_$][\w$-]*$/.test(key)) text += text === '' ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  return text
}

/** The way back from {@link renderPath}. */
export function parsePath(text: string): ConfigPath {
  const steps = text.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([A-Za-z_$][\w$-]*)/g)
  return Array.from(steps, ([, index, quoted, word]) => {
    if (index !== undefined) return Number(index)
    return quoted === undefined ? word : (JSON.parse(quoted) as string)
  })
}

/** For people: one block a problem, and how many there are. */
export function formatProblems(problems: readonly Problem[]): string {
  const blocks = problems.map((problem) => {
    const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file
    const path = problem.path === '' ? '' : `${problem.path}: `
    const head = `${place} ${problem.code} ${path}${problem.message}`
    const hint = problem.suggestion === undefined ? '' : `; ${problem.suggestion}`
    return problem.frame === '' ? `${head}${hint}` : `${head}${hint}\n${problem.frame}`
  })
  if (problems.length > 1) blocks.push(`${problems.length} problems`)
  return blocks.join('\n\n')
}

/** Longest part of a source line that a frame shows. */
const frameWidth = 160

const keyBegin = /-----BEGIN [A-Z ]*PRIVATE KEY-----/
const keyEnd = /-----END [A-Z ]*PRIVATE KEY-----/
/** Lines of the longest private key, and some more. */
const keyLines = 200

/** A line with every character of a private key masked: frames go to logs. */
function withoutKey(lines: readonly string[], number: number): string {
  let inside = false
  for (const line of lines.slice(Math.max(0, number - 1 - keyLines), number - 1))
    inside = keyBegin.test(line) ? !keyEnd.test(line) : inside && !keyEnd.test(line)
  const line = lines[number - 1] ?? ''
  const begun = keyBegin.exec(line)
  if (!inside && begun === null) return line
  const begin = inside || begun === null ? 0 : begun.index + begun[0].length
  const end = keyEnd.exec(line)?.index ?? line.length
  return line.slice(0, begin) + line.slice(begin, end).replace(/\S/g, '*') + line.slice(end)
}

/**
 * Source lines around a place, with a caret under it.
 * @param line from 1
 * @param column from 1
 * @param length of what is underlined, cut at the end of its line
 */
export function codeFrame(lines: readonly string[], line: number, column: number, length: number): string {
  const first = Math.max(1, line - 1)
  const last = Math.min(lines.length, line + 1)
  const digits = String(last).length
  const rows: string[] = []
  for (let number = first; number <= last; number++) {
    const source = withoutKey(lines, number).replaceAll('\t', ' ')
    const start = number === line && column > frameWidth - 20 ? column - 40 : 0
    const shown = source.slice(start, start + frameWidth)
    rows.push(`${number === line ? '>' : ' '} ${String(number).padStart(digits)} | ${shown}`.trimEnd())
    if (number !== line) continue
    const room = Math.max(1, shown.length - (column - 1 - start))
    const carets = '^'.repeat(Math.max(1, Math.min(length, room)))
    rows.push(`  ${' '.repeat(digits)} | ${' '.repeat(column - 1 - start)}${carets}`)
  }
  return rows.join('\n')
}
