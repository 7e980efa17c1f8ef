/** The shape of a file: its length, the length of its functions, and that importing it does nothing. */
import { child, children, lineOf, type Offence, type Source, type SyntaxNode, walk } from './source.ts'

const maxFileLines = 300
const maxFunctionLines = 60
/** How far from the top of a file its reason may stand. */
const reasonLines = 10

/** No file over 300 lines without `Over 300 lines: <reason>` in a comment at its top. */
export function lengthOffences(source: Source): Offence[] {
  const lines = source.text.replace(/\n$/, '').split('\n')
  if (lines.length <= maxFileLines) return []
  if (/Over 300 lines: \S/.test(lines.slice(0, reasonLines).join('\n'))) return []
  const message = `${lines.length} lines, ${maxFileLines} at most; split it, or say \`Over 300 lines: <reason>\` at its top`
  return [{ file: source.file, line: 1, message }]
}

const isFunction = (node: SyntaxNode): boolean =>
  ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'].includes(node.type)

/** No function over 60 lines without `Over 60 lines: <reason>` in the comment above it or in its first lines. What
 * groups tests is not counted. */
export function functionOffences(source: Source): Offence[] {
  if (source.file.startsWith('test/')) return []
  const found: Offence[] = []
  const lines = source.text.split('\n')
  for (const statement of source.body)
    walk(statement, (node) => {
      if (!isFunction(node)) return true
      const first = lineOf(source, node.start)
      const length = lineOf(source, node.end) - first + 1
      const around = lines.slice(Math.max(0, first - reasonLines), first + 3).join('\n')
      if (length > maxFunctionLines && !/Over 60 lines: \S/.test(around))
        found.push({
          file: source.file,
          line: first,
          message: `a function of ${length} lines, ${maxFunctionLines} at most; split it, or say \`Over 60 lines: <reason>\` above it`,
        })
      return true
    })
  return found
}

/** Files that are started, not imported: they may act when they are loaded. */
const isEntry = (file: string): boolean =>
  /^(scripts|bench|test|docs)\//.test(file) ||
  /^cli\/(bin\.js|main\.ts|demo-backend\.ts|plugin\/(?:preload|run-tests)\.ts)$/.test(file) ||
  /^(core|plugins)\/.*-(thread|worker)\.ts$/.test(file)

const isDeclaration = (node: SyntaxNode): boolean =>
  /^TS|^(Import|ExportAll|Function|Class)Declaration$/.test(node.type)

/** `export` taken off a statement. */
function bare(statement: SyntaxNode): SyntaxNode | undefined {
  if (statement.type === 'ExportNamedDeclaration') return child(statement, 'declaration')
  if (statement.type === 'ExportDefaultDeclaration') return undefined
  return statement
}

/** `for`, `if` or an assignment at the top that only fills a table of this module is allowed; calls are not. */
function actsAtImport(statement: SyntaxNode): boolean {
  return (
    statement.type === 'ExpressionStatement' &&
    child(statement, 'expression')?.type !== 'AssignmentExpression'
  )
}

function awaits(statement: SyntaxNode): boolean {
  let found = false
  walk(statement, (node) => {
    if (node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && node.await === true))
      found = true
    return !found && !isFunction(node)
  })
  return found
}

/** Importing a module has no effect and leaves no state behind: no `let`, no call and no `await` at its top. */
export function effectOffences(source: Source): Offence[] {
  if (isEntry(source.file)) return []
  const found: Offence[] = []
  const add = (node: SyntaxNode, message: string): void => {
    found.push({ file: source.file, line: lineOf(source, node.start), message })
  }
  for (const statement of source.body) {
    if (awaits(statement)) add(statement, 'top-level `await`: importing a module must not wait')
    const inner = bare(statement)
    if (inner === undefined || isDeclaration(inner)) continue
    if (
      inner.type === 'VariableDeclaration' &&
      inner.kind !== 'const' &&
      children(inner, 'declarations').length > 0
    )
      add(inner, `top-level \`${inner.kind}\`: a module has no state of its own`)
    else if (actsAtImport(inner))
      add(inner, 'a call at the top of a module: importing it must have no effect')
  }
  return found
}
