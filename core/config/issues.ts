/** Issues of the schema as problems of the config: plain words, the right place, and a likely correction. */
import { z } from 'zod'
import { closest } from '../host/did-you-mean.ts'
import { type Issue, openIssue, typeNames } from '../host/issue-words.ts'
import type { ConfigDocument } from './document.ts'
import { plainScalar } from './expand.ts'
import type { ConfigPath } from './problems.ts'

/** Reports every issue of a failed parse. `base`: where the parsed value stands in the file. */
export function reportIssues(document: ConfigDocument, schema: z.ZodType, issues: readonly Issue[]): void {
  for (const issue of issues.flatMap((found) => openIssue(found))) {
    if (issue.code === 'unrecognized_keys') reportUnknownKeys(document, schema, issue)
    else reportValue(document, issue)
  }
}

function reportUnknownKeys(
  document: ConfigDocument,
  schema: z.ZodType,
  issue: Extract<Issue, { code: 'unrecognized_keys' }>,
): void {
  const path = issue.path as ConfigPath
  const unavailable = path.length === 0 ? ['$schema'] : []
  const known = keysAt(schema, path, document.value).filter((key) => !unavailable.includes(key))
  for (const key of issue.keys) {
    document.report({
      code: 'MR_CONFIG_UNKNOWN_KEY',
      message: `the key ${JSON.stringify(key)} is not known here`,
      path: [...path, key],
      suggestion: suggestKey(key, known),
      atKey: true,
    })
  }
}

function suggestKey(key: string, known: readonly string[]): string | undefined {
  const glued = /^([A-Za-z]+):(.+)$/.exec(key)
  if (glued && known.includes(glued[1])) return `put a space after the colon: "${glued[1]}: ${glued[2]}"`
  const near = closest(key, known)
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`
  return known.length > 0 ? `known keys are ${known.join(', ')}` : undefined
}

function reportValue(document: ConfigDocument, issue: Issue): void {
  const path = issue.path as ConfigPath
  const { found, value } = valueAt(document.value, path)
  if (!found) {
    const key = path.at(-1)
    const message = key === undefined ? 'the file is empty' : `\`${String(key)}\` is missing`
    document.report({ code: 'MR_CONFIG_INVALID', message, path, atKey: true })
    return
  }
  if (value === null && issue.code !== 'custom') {
    const message = `nothing is written here; ${expectation(issue)}`
    document.report({ code: 'MR_CONFIG_INVALID', message, path })
    return
  }
  document.report({
    code: 'MR_CONFIG_INVALID',
    message: expectation(issue),
    path,
    suggestion: suggestValue(document, issue, path, value),
    atKey: issue.code === 'invalid_key',
  })
}

function expectation(issue: Issue): string {
  if (issue.code === 'invalid_value')
    return `expected ${issue.values.map((value) => String(value)).join(' or ')}`
  if (issue.code === 'too_small' && typeof issue.minimum === 'number')
    return issue.origin === 'array' ? 'expected at least one entry' : `expected at least ${issue.minimum}`
  if (issue.code === 'too_big' && typeof issue.maximum === 'number')
    return `expected at most ${issue.maximum}`
  if (issue.code === 'invalid_type' && issue.message.startsWith(generic))
    return `expected ${typeNames[issue.expected] ?? issue.expected}`
  return issue.message
}

/** How messages of the schema library begin; other messages are our own. */
const generic = 'Invalid input'

function suggestValue(
  document: ConfigDocument,
  issue: Issue,
  path: ConfigPath,
  value: unknown,
): string | undefined {
  if (issue.code === 'custom') {
    const suggestion: unknown = issue.params?.suggestion
    return typeof suggestion === 'string' ? document.redact(suggestion) : undefined
  }
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    const near = closest(value, issue.values.map(String))
    return near === undefined ? undefined : `did you mean ${JSON.stringify(near)}?`
  }
  if (issue.code === 'invalid_type' && (issue.expected === 'number' || issue.expected === 'boolean'))
    return typeof plainScalar(String(value)) === issue.expected ? 'write it without quotes' : undefined
  const wantsText = issue.code === 'invalid_type' && issue.expected === 'string'
  if (!wantsText && issue.code !== 'invalid_union') return undefined
  const source = document.sourceOf(path)
  if (source === undefined) return undefined
  const isBracketed = Array.isArray(value) && /^\[[\da-fA-F]*:[\da-fA-F:.]*\]$/.test(source)
  const isScalar =
    wantsText &&
    issue.message.startsWith(generic) &&
    (typeof value === 'number' || typeof value === 'boolean')
  return isBracketed || isScalar ? `quote this: ${JSON.stringify(source)}` : undefined
}

function valueAt(root: unknown, path: ConfigPath): { found: boolean; value: unknown } {
  let value = root
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key))
      return { found: false, value: undefined }
    value = (value as Record<string | number, unknown>)[key]
  }
  return { found: value !== undefined, value }
}

/** Keys that the schema knows at a place. */
function keysAt(schema: z.ZodType, path: ConfigPath, value: unknown): string[] {
  const inner = unwrap(schema, value)
  const [key, ...rest] = path
  if (key === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
  const next = (value as Record<string | number, unknown> | undefined)?.[key]
  if (inner instanceof z.ZodObject) return keysAt(inner.shape[key] ?? z.never(), rest, next)
  if (inner instanceof z.ZodRecord) return keysAt(inner.valueType as z.ZodType, rest, next)
  if (inner instanceof z.ZodArray) return keysAt(inner.element as z.ZodType, rest, next)
  return []
}

function unwrap(schema: z.ZodType, value: unknown): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return unwrap(schema.unwrap() as z.ZodType, value)
  if (!(schema instanceof z.ZodUnion)) return schema
  const options = schema.options as readonly z.ZodType[]
  const wanted = options.find((option) =>
    Array.isArray(value) ? option instanceof z.ZodArray : option instanceof z.ZodObject,
  )
  return wanted ?? schema
}
