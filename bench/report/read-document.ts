/** Reads a JSON file that a bench wrote earlier, maybe another version of it, and says what is wrong where it is none. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { MillraceError } from '../../core/host/errors.ts'

export interface DocumentForm<S extends z.ZodType> {
  /** What the file should be, e.g. `results.json of millrace bench`. */
  readonly what: string
  /** Value of `schema` in files that this version can read. */
  readonly version: number
  readonly schema: S
}

/** A number; JSON has null for what is none, such as a share of nothing. */
export const looseNumber = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN)

/** Problems shown at most: where one field is wrong, others mostly are too. */
const shownProblems = 3

/** @throws MR_BENCH_FILE with the path and what is wrong */
export function readDocument<S extends z.ZodType>(path: string, form: DocumentForm<S>): z.output<S> {
  const value = parseJson(path)
  const version = typeof value === 'object' && value !== null && 'schema' in value ? value.schema : undefined
  if (typeof version !== 'number') throw wrong(path, `is no ${form.what}: it has no "schema" number`)
  if (version !== form.version) throw wrong(path, otherVersion(version, form))
  const parsed = form.schema.safeParse(value)
  if (parsed.success) return parsed.data
  const { issues } = parsed.error
  const lines = issues
    .slice(0, shownProblems)
    .map(({ path, message }) => `  ${path.length > 0 ? path.join('.') : 'the whole'}: ${message}`)
  if (issues.length > shownProblems) lines.push(`  and ${issues.length - shownProblems} more`)
  throw wrong(path, `is no ${form.what}:\n${lines.join('\n')}`)
}

function parseJson(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw wrong(path, code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`, error)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw wrong(path, `is not JSON: ${(error as Error).message}`, error)
  }
}

function otherVersion(version: number, form: DocumentForm<z.ZodType>): string {
  const whose = version > form.version ? 'a newer' : 'an older'
  return `has schema ${version}, of ${whose} millrace bench; this one reads schema ${form.version} of ${form.what}`
}

function wrong(path: string, problem: string, cause?: unknown): MillraceError {
  return new MillraceError('MR_BENCH_FILE', `${path} ${problem}`, { path, cause })
}
