/** What zod finds wrong with a value, in the words of the rest: what was expected there. Messages that the author of a schema wrote
 * stay as they are. */
import type { z } from 'zod'
import { closest } from './did-you-mean.ts'

export type Issue = z.core.$ZodIssue

export interface WordedIssue {
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** The word that was probably meant. */
  readonly suggestion?: string
}

/** @param root what was parsed */
export function wordsOf(issue: Issue, root: unknown): WordedIssue[] {
  return openIssue(issue).map((one) => {
    const { path } = one
    const value = valueAt(root, path)
    const message = one.code === 'custom' ? expectation(one, value) : wordsFor(one, value)
    return { path, message, suggestion: suggestionFor(one, value) }
  })
}

/** Opens unions: of the branches, the one whose kind of value was written. Paths count from `base` on. */
export function openIssue(issue: Issue, base: readonly PropertyKey[] = []): Issue[] {
  const path = [...base, ...issue.path]
  if (issue.code === 'invalid_key') {
    const [first] = issue.issues
    return [{ ...issue, path, message: first?.message ?? issue.message }]
  }
  // Another version of the library may have no branches to tell.
  if (issue.code !== 'invalid_union' || issue.errors === undefined) return [{ ...issue, path }]
  const branch = issue.errors.find(
    (errors) => errors.length > 0 && !errors.some((error) => error.path.length === 0 && isOtherKind(error)),
  )
  return branch ? branch.flatMap((error) => openIssue(error, path)) : [{ ...issue, path }]
}

function isOtherKind(issue: Issue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union'
}

/** How messages of the library itself begin; others are somebody's own. */
const generic =
  /^(?:Invalid (?:input(?:: |$)|option: |string: must |number: must |key in |value in |discriminator value)|Too (?:small|big): expected |Unrecognized keys?: )/

/** What it calls a text of a known format. */
const format =
  /^Invalid (URL|email address|UUID(?:v\d)?|IPv[46] (?:address|range)|ISO \w+|JSON string|base64(?:url)?-encoded string|JWT)$/

export const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a string',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
}

function wordsFor(issue: Issue, value: unknown): string {
  const words = expectation(issue, value)
  const key = issue.path.at(-1)
  return value === undefined && key !== undefined ? `\`${String(key)}\` is missing; ${words}` : words
}

function expectation(issue: Issue, value: unknown): string {
  const named = format.exec(issue.message)?.[1]
  if (named !== undefined) return `expected ${/^[eI]/.test(named) ? 'an' : 'a'} ${named}`
  if (!generic.test(issue.message)) return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeNames[issue.expected] ?? issue.expected}${given(issue.expected, value)}`
    case 'invalid_value':
      return `expected ${choice(issue.values)}`
    case 'too_small':
      return `expected ${bound(issue, ['at least', 'more than'], issue.minimum)}`
    case 'too_big':
      return `expected ${bound(issue, ['at most', 'less than'], issue.maximum)}`
    case 'not_multiple_of':
      return `expected a multiple of ${issue.divisor}`
    case 'invalid_format':
      return formatWords(issue)
    case 'invalid_union':
      return unionWords(issue, value)
    case 'unrecognized_keys':
      return `unknown ${issue.keys.length > 1 ? 'keys' : 'key'} ${issue.keys.map((key) => `"${key}"`).join(', ')}`
    default:
      return 'is not what is taken here'
  }
}

const choice = (values: readonly unknown[]): string =>
  values.map((one) => (typeof one === 'string' ? JSON.stringify(one) : String(one))).join(' or ')

/** `, not a string`; the value itself may be a secret. */
function given(expected: string, value: unknown): string {
  const kind = Array.isArray(value) ? 'array' : typeof value
  // A number in place of a number is not a whole one, or not a finite one.
  if (value === undefined || kind === expected || (kind === 'number' && expected === 'int')) return ''
  if (value === null) return ', not null'
  return kind === 'boolean' ? ', not a boolean' : `, not ${typeNames[kind] ?? kind}`
}

const units: Readonly<Record<string, readonly [one: string, many: string]>> = {
  string: ['character', 'characters'],
  array: ['entry', 'entries'],
  set: ['entry', 'entries'],
  map: ['entry', 'entries'],
}

type Bound = Extract<Issue, { code: 'too_small' | 'too_big' }>

/** @param words where the limit itself is allowed, and where it is not */
function bound(
  { origin, exact, inclusive }: Bound,
  words: readonly string[],
  limit: number | bigint,
): string {
  const unit = units[origin]
  const size = unit === undefined ? `${limit}` : `${limit} ${unit[Number(limit) === 1 ? 0 : 1]}`
  return `${exact ? 'exactly' : words[inclusive === false ? 1 : 0]} ${size}`
}

function formatWords(issue: Extract<Issue, { code: 'invalid_format' }>): string {
  const { format: name, prefix, suffix, includes, pattern } = issue as typeof issue & Record<string, unknown>
  if (name === 'starts_with') return `expected a text that starts with ${JSON.stringify(prefix)}`
  if (name === 'ends_with') return `expected a text that ends with ${JSON.stringify(suffix)}`
  if (name === 'includes') return `expected a text that holds ${JSON.stringify(includes)}`
  return pattern === undefined
    ? `expected a text of the form ${name}`
    : `expected a text that matches ${pattern}`
}

/** What any of the branches would take. */
function unionWords(issue: Extract<Issue, { code: 'invalid_union' }>, value: unknown): string {
  const listed = (issue as { options?: readonly unknown[] }).options
  if (listed !== undefined && listed.length > 0) return `expected ${choice(listed)}`
  const branches: readonly (readonly Issue[])[] = issue.errors ?? []
  const words = branches.flatMap(([first]) => {
    if (first === undefined) return []
    // Of what was given it is said once, if at all.
    const own = expectation(first, value).replace(/, not .*$/, '')
    return own.startsWith('expected ') ? [own.slice('expected '.length)] : []
  })
  return words.length === 0 ? 'is not what is taken here' : `expected ${[...new Set(words)].join(' or ')}`
}

function suggestionFor(issue: Issue, value: unknown): string | undefined {
  if (issue.code !== 'invalid_value' || typeof value !== 'string') return undefined
  return closest(
    value,
    issue.values.filter((one) => typeof one === 'string'),
  )
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}
