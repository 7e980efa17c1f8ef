/** YAML or JSON text as plain data that knows its lines and columns. */
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  Scalar,
  visit,
  type YAMLMap,
} from 'yaml'
import { ConfigDocument, type Report } from './document.ts'
import { type Environment, plainScalar } from './expand.ts'
import { type ConfigPath, codeFrame, type Problem, renderPath } from './problems.ts'
import { type ParsedText, parseText, tooDeep, unshield } from './yaml-text.ts'

/** Nodes that aliases may stand for, in all; a file of nested aliases can stand for billions. */
const mostAliased = 200_000
/** No config is nested nearly as deep; what merges itself into itself is. */
const deepest = 100

type Range = readonly [start: number, end: number]

export class TextDocument extends ConfigDocument {
  private readonly text: string
  private readonly rows: readonly string[]
  private readonly parsed: ParsedText
  private readonly expanded = new Set<Node>()
  private readonly silenced: Range[]
  private aliased = 0
  /** What each alias stands for. */
  private readonly targets = new Map<Alias, Node | undefined>()

  constructor(file: string, env: Environment, text: string) {
    super(file, env)
    this.text = text
    this.rows = text.trimEnd().split(/\r?\n/)
    this.parsed = parseText(text)
    for (const { code, message, suggestion, start, end } of this.parsed.problems)
      this.problems.push(
        this.problemAt([start, end], { code, message, path: this.pathAt(start), suggestion }),
      )
    this.silenced = [...this.parsed.masked]
    if (this.parsed.document) this.resolveAliases(this.parsed.document)
    const root = this.parsed.document?.contents
    this.value = root ? this.read(root, [], []) : undefined
  }

  /** False when the text could not be read at all; the problems say why. */
  get readable(): boolean {
    return this.parsed.document !== undefined
  }

  override show(path: ConfigPath, value: unknown): string {
    const node = this.find(path).value
    return node && this.expanded.has(node) ? `"${this.slice(node)}"` : JSON.stringify(value)
  }

  override sourceOf(path: ConfigPath): string | undefined {
    const node = this.find(path).value
    return node && this.slice(node)
  }

  protected override place(report: Report): Problem | undefined {
    const { key, value, exact } = this.find(report.path)
    const node = (report.atKey || !exact ? key : undefined) ?? value ?? key
    const range: Range = node?.range ? [node.range[0], node.range[1]] : [0, 1]
    if (this.silenced.some(([start, end]) => range[0] >= start && range[0] < end)) return undefined
    return this.problemAt(range, report)
  }

  private problemAt([start, end]: Range, report: Omit<Report, 'atKey'>): Problem {
    const { line, col } = this.parsed.lines.linePos(start)
    const { code, message, path, suggestion } = report
    const row = Math.max(1, line)
    const column = Math.max(1, col)
    const frame = codeFrame(this.rows, row, column, end - start)
    return { code, message, file: this.file, line: row, column, path: renderPath(path), frame, suggestion }
  }

  private slice(node: Node): string {
    return node.range ? this.text.slice(node.range[0], node.range[1]) : ''
  }

  protected override silence(path: ConfigPath): void {
    const node = this.find(path).value
    if (node?.range) this.silenced.push([node.range[0], node.range[1]])
  }

  private syntax(path: ConfigPath, message: string, suggestion?: string): void {
    this.report({ code: 'MR_CONFIG_SYNTAX', message, path, suggestion })
    this.silence(path)
  }

  /** JavaScript has its own meaning for this key, and the schema would pass over it. */
  private badKey(path: ConfigPath): void {
    this.report({ code: 'MR_CONFIG_SYNTAX', message: 'no key can be called __proto__', path, atKey: true })
    this.silence(path)
  }

  /** Plain data of a node. `aliases`: those being followed, to stop at a circle. */
  private read(node: unknown, path: ConfigPath, aliases: readonly string[]): unknown {
    if (path.length > deepest) return this.syntax(path, tooDeep)
    if (aliases.length > 0 && !this.mayStandFor(path)) return undefined
    if (isAlias(node)) return this.readAlias(node, path, aliases)
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index], aliases))
    if (isMap(node)) return this.readMap(node, path, aliases)
    return isScalar(node) ? this.readScalar(node, path) : undefined
  }

  private readAlias(alias: Alias, path: ConfigPath, aliases: readonly string[]): unknown {
    const target = this.targets.get(alias)
    const source = this.slice(alias)
    if (target === undefined) {
      const message = `YAML reads * as an alias, and there is no anchor &${alias.source}`
      this.syntax(path, message, `quote this: ${JSON.stringify(source)}`)
    } else if (aliases.includes(alias.source)) {
      this.syntax(path, 'this alias contains itself')
    } else return this.read(target, path, [...aliases, alias.source])
    return source
  }

  /** Counts what aliases and merges stand for; false when it is too much. */
  private mayStandFor(path: ConfigPath): boolean {
    if (++this.aliased < mostAliased) return true
    if (this.aliased < Number.POSITIVE_INFINITY)
      this.syntax(path, `aliases stand for more than ${mostAliased} values`)
    this.aliased = Number.POSITIVE_INFINITY
    return false
  }

  /** In one walk: the library walks through the whole file for each alias. */
  private resolveAliases(document: Document.Parsed): void {
    const anchors = new Map<string, Node>()
    visit(document, {
      Alias: (_key, alias) => void this.targets.set(alias, anchors.get(alias.source)),
      Value: (_key, node) => void (node.anchor && anchors.set(node.anchor, node)),
    })
  }

  private readMap(map: YAMLMap, path: ConfigPath, aliases: readonly string[]): Record<string, unknown> {
    const result: Record<string, unknown> = {}
    const put = (key: string, value: unknown) =>
      Object.defineProperty(result, key, { value, enumerable: true, writable: true, configurable: true })
    for (const pair of map.items) {
      if (isMerge(pair)) continue
      const key = this.keyOf(pair)
      if (key === '__proto__') this.badKey([...path, key])
      else if (!Object.hasOwn(result, key)) put(key, this.read(pair.value, [...path, key], aliases))
    }
    for (const source of this.merged(map)) {
      for (const pair of source.items) {
        const key = this.keyOf(pair)
        if (key === '__proto__') this.badKey([...path, key])
        else if (!isMerge(pair) && !Object.hasOwn(result, key))
          put(key, this.read(pair.value, [...path, key], [...aliases, '<<']))
      }
    }
    return result
  }

  private readScalar(node: Scalar, path: ConfigPath): unknown {
    const { value } = node
    const plain = node.type === Scalar.PLAIN
    if (plain && typeof value === 'number' && /^[-+]?0\d/.test(node.source ?? '')) {
      const source = this.slice(node)
      this.syntax(
        path,
        'a leading zero: this is octal to some readers and decimal to others',
        `quote this: ${JSON.stringify(source)}, or write the number without the zero`,
      )
    }
    if (typeof value !== 'string') return value
    const text = unshield(value)
    const expanded = this.expandText(text, path)
    if (expanded === text) return text
    this.expanded.add(node)
    return plain ? plainScalar(expanded) : expanded
  }

  private keyOf(pair: Pair): string {
    const { key } = pair
    if (isScalar(key))
      return unshield(typeof key.value === 'string' ? key.value : (key.source ?? String(key.value)))
    return isAlias(key) || isCollection(key) ? this.slice(key) : String(key)
  }

  /** Maps that `<<` merges into a map, the stronger one first. */
  private merged(map: YAMLMap, seen = new Set([map])): YAMLMap[] {
    const result: YAMLMap[] = []
    for (const pair of map.items) {
      if (!isMerge(pair)) continue
      const sources = isSeq(pair.value) ? pair.value.items : [pair.value]
      for (const source of sources) {
        const target = isAlias(source) ? this.targets.get(source) : source
        // What was merged before is stronger: a second time adds nothing.
        if (!isMap(target) || seen.has(target)) continue
        seen.add(target)
        result.push(target, ...this.merged(target, seen))
      }
    }
    return result
  }

  /** Nodes of a path; where it leads nowhere, of the nearest thing above it (`exact` is false then). */
  private find(path: ConfigPath): { key: Node | undefined; value: Node | undefined; exact: boolean } {
    let value: Node | undefined = this.parsed.document?.contents ?? undefined
    let key: Node | undefined
    for (const part of path) {
      const holder: unknown = isAlias(value) ? this.targets.get(value) : value
      const pair: Pair | undefined = isMap(holder)
        ? [holder, ...this.merged(holder)]
            .flatMap((map) => map.items)
            .find((item) => !isMerge(item) && this.keyOf(item) === part)
        : undefined
      const item: unknown = isSeq(holder) && typeof part === 'number' ? holder.items[part] : undefined
      if (pair === undefined && item === undefined) return { key, value, exact: false }
      if (pair !== undefined) {
        key = pair.key as Node
        value = (pair.value as Node | null) ?? key
      } else {
        value = item as Node
        key = undefined
      }
    }
    return { key, value, exact: true }
  }

  /** The path of the innermost key or item that holds an offset. */
  private pathAt(offset: number): ConfigPath {
    const path: (string | number)[] = []
    let node: unknown = this.parsed.document?.contents
    while (isCollection(node)) {
      const items: readonly unknown[] = node.items
      const index = items.findIndex((item) => {
        const [first, last] = isPair(item) ? [item.key, item.value ?? item.key] : [item, item]
        const [from, to] = [rangeOf(first), rangeOf(last)]
        return from !== undefined && to !== undefined && from[0] <= offset && offset < to[1]
      })
      if (index < 0) break
      const item = items[index]
      path.push(isPair(item) ? this.keyOf(item) : index)
      node = isPair(item) ? item.value : item
    }
    return path
  }
}

function rangeOf(node: unknown): Range | undefined {
  return isNode(node) && node.range ? [node.range[0], node.range[1]] : undefined
}

function isMerge(pair: Pair): boolean {
  return (
    isScalar(pair.key) &&
    (pair.key.value === '<<' || typeof pair.key.value === 'symbol') &&
    pair.key.type === Scalar.PLAIN
  )
}
