/** Bodies: JSON, and YAML for whole configs. Nothing else is read, and nothing in either is expanded. */
import type { FastifyInstance } from 'fastify'
import type { ConfigPath } from '../config/problems.ts'
import { ConfigError } from '../config/problems.ts'
import { TextDocument } from '../config/text-document.ts'
import { ApiError } from './errors.ts'

export const yamlTypes = ['application/yaml', 'application/x-yaml', 'text/yaml'] as const

export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    async (_request: unknown, body: string) => parseJson(body),
  )
  app.addContentTypeParser([...yamlTypes], { parseAs: 'string' }, async (_request: unknown, body: string) =>
    parseYaml(body),
  )
}

/** @throws ApiError */
function parseJson(text: string): unknown {
  try {
    // With a function to call for each value it takes several times as long.
    const value: unknown = mayHoldPrototypes.test(text)
      ? JSON.parse(text, refusePrototypes)
      : JSON.parse(text)
    if (!isDeeper(value, deepest)) return value
    throw new ApiError('MR_BAD_REQUEST', `the body is nested deeper than ${deepest}`)
  } catch (error) {
    if (error instanceof ApiError) throw error
    const message = error instanceof Error ? error.message : String(error)
    throw new ApiError('MR_BAD_REQUEST', `the body is no JSON: ${message}`)
  }
}

/** As in YAML: no config is nested nearly as deep, and what walks through one goes a step deeper with each. */
const deepest = 100

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const item of Array.isArray(value) ? value : Object.values(value))
    if (isDeeper(item, levels - 1)) return true
  return false
}

/** In plain letters, or with an escape among them. */
const mayHoldPrototypes = /__proto__|\\u/

/** JavaScript has its own meaning for this key. */
function refusePrototypes(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new ApiError('MR_BAD_REQUEST', 'no key can be called __proto__')
  return value
}

/** The text is what is meant: `${…}` is no reference here. */
class LiteralDocument extends TextDocument {
  protected override expandText(text: string, _path: ConfigPath): string {
    return text
  }
}

/** @throws ConfigError with lines and columns */
function parseYaml(text: string): unknown {
  const document = new LiteralDocument('body', {}, text.replace(/^\ufeff/, ''))
  if (!document.readable || document.problems.length > 0) throw new ConfigError(document.problems)
  return document.value
}
