/** Reads a plugin's options with the plugin's own schema: any synchronous Standard Schema. Unknown keys are looked for by the
 * host, so that an author gets the did-you-mean whatever the library. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import type { OptionProblem } from '../config/catalog.ts'
import { slotKeys } from '../config/uses.ts'
import type { PluginDefinition } from '../contracts/plugin.ts'
import { MillraceError } from './errors.ts'
import { LateError } from './instance-scope.ts'
import { type Issue, type WordedIssue, wordsOf } from './issue-words.ts'
import { KeyChecker } from './unknown-keys.ts'

type Definition = Pick<PluginDefinition, 'kind' | 'name' | 'options'>
type Outcome = { readonly value: unknown } | { readonly problems: readonly OptionProblem[] }

/**
 * The options as `create` gets them.
 *
 * @param raw as in the config, slot keys taken out; undefined is `{}`
 * @param path where they stand in the config, for the message
 * @throws MR_PLUGIN_OPTIONS with every problem
 */
export function parseOptions(definition: Definition, raw: unknown, path?: string): unknown {
  const outcome = readOptions(definition, raw)
  if ('value' in outcome) return outcome.value
  const lines = outcome.problems.map(describe)
  const where = `Options of the ${definition.kind} "${definition.name}"${path ? ` at ${path}` : ''}`
  const message =
    lines.length === 1 ? `${where}: ${lines[0]}` : `${where}:\n${lines.map((line) => `  ${line}`).join('\n')}`
  throw new MillraceError('MR_PLUGIN_OPTIONS', message, { plugin: definition.name, path })
}

/** Every problem of the options; empty when they are right. */
export function optionProblems(definition: Definition, raw: unknown): readonly OptionProblem[] {
  const outcome = readOptions(definition, raw)
  return 'value' in outcome ? [] : outcome.problems
}

/** JSON Schema of what a schema takes; undefined where its library has none. */
export function optionsJsonSchema(schema: StandardSchemaV1): Record<string, unknown> | undefined {
  const standard: StandardSchemaV1.Props & Partial<StandardJSONSchemaV1.Props> = schema['~standard']
  const zod = standard.vendor === 'zod'
  try {
    const found = standard.jsonSchema
      ? standard.jsonSchema.input({
          target: 'draft-2020-12',
          libraryOptions: zod ? { unrepresentable: 'any' } : undefined,
        })
      : zod
        ? z.toJSONSchema(schema as unknown as z.ZodType, { io: 'input', unrepresentable: 'any' })
        : undefined
    if (!found) return undefined
    const { $schema, ...rest } = found
    return rest
  } catch {
    // The library cannot express this schema; the options are then open in `millrace schema`, and still validated.
    return undefined
  }
}

function readOptions(definition: Definition, raw: unknown): Outcome {
  const problems: OptionProblem[] = []
  const jsonSchema = optionsJsonSchema(definition.options)
  // Unknown keys are taken out before the schema sees them: each is named once, by us.
  const slots = slotKeys[definition.kind].filter((key) => key !== 'use')
  const known = jsonSchema ? new KeyChecker(jsonSchema, slots).strip(raw ?? {}, problems) : (raw ?? {})
  const result = validate(definition.options, known)
  if (result.issues) problems.push(...problemsOf(definition.options, result.issues, known))
  return problems.length > 0 || result.issues ? { problems } : { value: result.value }
}

function validate(schema: StandardSchemaV1, value: unknown): StandardSchemaV1.Result<unknown> {
  let result: ReturnType<StandardSchemaV1.Props['validate']>
  try {
    result = schema['~standard'].validate(value)
  } catch (error) {
    const what = error instanceof LateError ? 'was late' : 'threw'
    return {
      issues: [{ message: `the plugin’s schema ${what}: ${error instanceof Error ? error.message : error}` }],
    }
  }
  if (!('then' in result)) return result
  // zod takes this way too when a transform throws. What it would say later is of no interest, but must not become an unhandled rejection.
  result.then(undefined, () => {})
  return {
    issues: [
      {
        message:
          'the plugin’s schema is asynchronous, or a transform in it threw; options must be checked synchronously',
      },
    ],
  }
}

/** Where the library is zod, its own messages are put into plain words. */
function problemsOf(
  schema: StandardSchemaV1,
  issues: readonly StandardSchemaV1.Issue[],
  value: unknown,
): OptionProblem[] {
  const isZod = schema['~standard'].vendor === 'zod'
  return issues.flatMap((issue) => {
    const path = (issue.path ?? []).map((step) => (typeof step === 'object' ? step.key : step))
    // What we say ourselves has no code.
    const found: readonly WordedIssue[] =
      isZod && 'code' in issue
        ? wordsOf(issue as unknown as Issue, value)
        : [{ path, message: issue.message }]
    return found.map((one) => ({ ...one, path: one.path.map(stepOf) }))
  })
}

const stepOf = (key: PropertyKey): string | number => (typeof key === 'number' ? key : String(key))

function describe(problem: OptionProblem): string {
  const where = problem.path.length > 0 ? `${problem.path.join('.')}: ` : ''
  return `${where}${problem.message}${problem.suggestion ? ` — did you mean "${problem.suggestion}"?` : ''}`
}
