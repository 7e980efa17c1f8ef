/** Keys of a value that its JSON Schema does not know. Whatever the schema leaves open, or this reader does not understand,
 * is open: a key is called unknown only when it is certain. */
import type { OptionProblem } from '../config/catalog.ts'
import { closest } from './did-you-mean.ts'

type Schema = Readonly<Record<string, unknown>>

/** What a schema says of an object's keys; undefined: any key may stand there. */
type Keys = ReadonlyMap<string, readonly Schema[]> | undefined

/** References deeper than this are taken as open; it also ends circles. */
const longestReference = 16

export class KeyChecker {
  readonly #root: Schema
  readonly #beside: readonly string[]

  /** @param beside keys that may stand beside those of the schema, for the messages */
  constructor(root: Schema, beside: readonly string[] = []) {
    this.#root = root
    this.#beside = beside
  }

  /** @returns a copy of `value` without its unknown keys; one problem for each goes to `problems` */
  strip(value: unknown, problems: OptionProblem[]): unknown {
    return this.#strip(value, [this.#root], [], problems)
  }

  #strip(
    value: unknown,
    schemas: readonly Schema[],
    path: readonly (string | number)[],
    problems: OptionProblem[],
  ): unknown {
    if (Array.isArray(value)) {
      const items = schemas.flatMap((schema) => this.#items(schema, longestReference))
      return items.length === 0
        ? value
        : value.map((item, index) => this.#strip(item, items, [...path, index], problems))
    }
    if (!isObject(value)) return value
    const keys = this.#keysOfAll(schemas, longestReference)
    if (!keys) return value
    const known: [string, unknown][] = []
    for (const [key, inner] of Object.entries(value)) {
      const schemasOfKey = keys.get(key)
      if (schemasOfKey) known.push([key, this.#strip(inner, schemasOfKey, [...path, key], problems)])
      else {
        const names = path.length === 0 ? [...keys.keys(), ...this.#beside] : [...keys.keys()]
        problems.push(unknownKey(key, value, names, path))
      }
    }
    return Object.fromEntries(known)
  }

  /** Keys that any of the alternatives knows; open when one is open. */
  #keysOfAll(schemas: readonly Schema[], depth: number): Keys {
    if (schemas.length === 0) return undefined
    const found = new Map<string, Schema[]>()
    for (const schema of schemas) {
      const keys = this.#keysOf(schema, depth)
      if (!keys) return undefined
      for (const [key, inner] of keys) found.set(key, [...(found.get(key) ?? []), ...inner])
    }
    return found
  }

  #keysOf(schema: Schema, depth: number): Keys {
    if (depth === 0 || schema.patternProperties !== undefined) return undefined
    if (typeof schema.$ref === 'string') {
      const target = this.#resolve(schema.$ref)
      return target && this.#keysOf(target, depth - 1)
    }
    const open = schema.additionalProperties ?? schema.unevaluatedProperties ?? false
    if (open !== false) return undefined
    const parts: Keys[] = []
    if (isObject(schema.properties)) {
      parts.push(new Map(Object.entries(schema.properties).map(([key, inner]) => [key, listOf([inner])])))
    }
    for (const word of ['anyOf', 'oneOf'] as const) {
      if (Array.isArray(schema[word])) parts.push(this.#alternatives(listOf(schema[word]), depth - 1))
    }
    if (Array.isArray(schema.allOf)) parts.push(this.#keysOfAll(listOf(schema.allOf), depth - 1))
    return parts.length === 0 ? undefined : merge(parts)
  }

  /** Alternatives that are no objects (a string form beside the object form) say nothing about keys. */
  #alternatives(schemas: readonly Schema[], depth: number): Keys {
    return this.#keysOfAll(
      schemas.filter((schema) => typeof schema.type !== 'string' || schema.type === 'object'),
      depth,
    )
  }

  #items(schema: Schema, depth: number): Schema[] {
    if (depth === 0) return []
    if (typeof schema.$ref === 'string') {
      const target = this.#resolve(schema.$ref)
      return target ? this.#items(target, depth - 1) : []
    }
    const inner = [...listOf(schema.anyOf), ...listOf(schema.oneOf), ...listOf(schema.allOf)]
    return [
      ...(schema.prefixItems === undefined ? listOf([schema.items]) : []),
      ...inner.flatMap((each) => this.#items(each, depth - 1)),
    ]
  }

  /** Only references into the schema itself (`#`, `#/$defs/x`). */
  #resolve(reference: string): Schema | undefined {
    if (!reference.startsWith('#')) return undefined
    let at: unknown = this.#root
    for (const step of reference.slice(1).split('/').slice(1)) {
      at = isObject(at) ? at[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined
    }
    return isObject(at) ? at : undefined
  }
}

function merge(parts: readonly Keys[]): Keys {
  const all = new Map<string, readonly Schema[]>()
  for (const part of parts) {
    if (!part) return undefined
    for (const [key, schemas] of part) all.set(key, [...(all.get(key) ?? []), ...schemas])
  }
  return all
}

function unknownKey(
  key: string,
  value: Schema,
  names: readonly string[],
  path: readonly (string | number)[],
): OptionProblem {
  const missing = names.filter((name) => !(name in value))
  const known = names.join(', ')
  return {
    message:
      known === ''
        ? `unknown key "${key}"; there are no options here`
        : `unknown key "${key}"; known: ${known}`,
    path: [...path, key],
    suggestion: closest(key, missing),
  }
}

function listOf(value: unknown): Schema[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
