/** Who may import whom: the table of docs/architecture.md, as a check that names the offending import. */
import { builtinModules } from 'node:module'
import path from 'node:path'
import { child, lineOf, type Offence, type Source, type SyntaxNode, walk } from './source.ts'

interface Import {
  readonly specifier: string
  /** `import()`: loaded when it is needed. */
  readonly lazy: boolean
  /** Of types alone: it is gone when the code runs. */
  readonly erased: boolean
  readonly offset: number
}

const literal = (node: SyntaxNode | undefined): string | undefined =>
  typeof node?.value === 'string' ? node.value : undefined

/** `new URL('./x.ts', import.meta.url)`: how a worker or another module of the project is named without an import. */
function moduleUrl(node: SyntaxNode): string | undefined {
  if (node.type !== 'NewExpression' || (node.callee as SyntaxNode).name !== 'URL') return undefined
  const specifier = literal((node.arguments as SyntaxNode[])[0])
  return specifier?.startsWith('.') && !specifier.endsWith('.json') ? specifier : undefined
}

/** Every module that a source names: imports, re-exports, `import()`, `import('…')` types and module URLs. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = []
  const add = (specifier: string | undefined, lazy: boolean, node: SyntaxNode): void => {
    const erased = node.type === 'TSImportType' || (node.importKind ?? node.exportKind) === 'type'
    if (specifier !== undefined) found.push({ specifier, lazy, erased, offset: node.start })
  }
  for (const statement of source.body)
    walk(statement, (node) => {
      switch (node.type) {
        case 'ImportDeclaration':
        case 'ExportNamedDeclaration':
        case 'ExportAllDeclaration':
        case 'TSImportType':
          add(literal(child(node, 'source')), false, node)
          break
        case 'ImportExpression':
          add(literal(child(node, 'source')), true, node)
          break
        default:
          add(moduleUrl(node), false, node)
      }
      return true
    })
  return found
}

const builtins = new Set(builtinModules)

/** Where an import leads: `core/http1/parser.ts`, `node:net`, or the name of a package. */
function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return path.posix.join(path.posix.dirname(file), specifier)
  if (specifier.startsWith('#')) return `${specifier.slice(1)}.ts`
  if (specifier.startsWith('node:') || builtins.has(specifier)) return specifier
  return `package ${specifier}`
}

const isPackage = (target: string): boolean => target.startsWith('package ')
const isNodeModule = (target: string): boolean =>
  !isPackage(target) && !target.includes('/') && !target.includes('.')
const within = (target: string, ...folders: string[]): boolean =>
  folders.some((folder) => target.startsWith(`${folder}/`))
/** Inside the repository. */
const isOurs = (target: string): boolean =>
  !isPackage(target) && !target.startsWith('node:') && !isNodeModule(target)

/** Packages that core uses; a new one is a decision. */
const corePackages = [
  '@fastify/swagger',
  '@standard-schema/spec',
  'fastify',
  'pino',
  'prom-client',
  'semver',
  'undici',
  'yaml',
  'zod',
]
const isCorePackage = (target: string): boolean => corePackages.some((name) => target === `package ${name}`)

/** @param erased of types alone, which also counts as lazy */
type Rule = (target: string, lazy: boolean, file: string, erased: boolean) => string | undefined

const core: Rule = (target, _lazy, file) => {
  if (isOurs(target) && !within(target, 'core')) return 'core imports only itself'
  if (isPackage(target) && !isCorePackage(target))
    return `core imports only these packages: ${corePackages.join(', ')}`
  if (file.startsWith('core/upstream/') && within(target, 'core/http1'))
    return 'core/upstream never imports HTTP'
  if (file.startsWith('core/http1/')) {
    if (isOurs(target) && !within(target, 'core/http1', 'core/host')) return 'core/http1 stands alone'
    if (/^(node:)?(net|tls|http|https|timers|dgram)(\/|$)/.test(target))
      return 'core/http1 has no sockets and no timers'
  }
  return undefined
}

const plugins: Rule = (target, lazy, file) => {
  if (target === 'package millrace' || target.startsWith('package millrace/')) return undefined
  if (isPackage(target)) return lazy ? undefined : 'a plugin imports its npm package lazily'
  if (!isOurs(target) || within(target, 'plugins/lib')) return undefined
  if (file === 'plugins/manifest.ts' && within(target, 'plugins')) return undefined
  // plugins/<kind>/<name>/index.ts may be several files.
  const folder = path.posix.dirname(file)
  if (folder.split('/').length >= 3 && within(target, folder.split('/').slice(0, 3).join('/')))
    return undefined
  return 'a plugin imports only `millrace`, plugins/lib and its own package: what a stranger could import too'
}

const plane =
  (own: string): Rule =>
  (target) =>
    isOurs(target) && !within(target, 'core', own) ? `${own} imports only #core/* and itself` : undefined

/** In the published package the bench lies with millrace, and packages that only the bench needs lie elsewhere. */
const bench: Rule = (target, _lazy, file, erased) => {
  // The report's page is one script, without imports when it is written.
  if (!isPackage(target) || erased || file.startsWith('bench/report/page/')) return undefined
  if (target === 'package millrace' || isCorePackage(target)) return undefined
  return 'a package that only the bench needs is imported by its packageUrl (bench/packages.ts)'
}

const anything: Rule = () => undefined

const rules: Readonly<Record<string, Rule>> = {
  core,
  plugins,
  orchestrator: plane('orchestrator'),
  dns: plane('dns'),
  cli: anything,
  scripts: anything,
  docs: anything,
  bench,
  test: anything,
  examples: (target) =>
    isOurs(target) && !within(target, 'examples')
      ? 'an example imports what a user could: `millrace`'
      : undefined,
}

/** What holds for everybody: nothing imports tests, save themselves and the conformance kit; nothing the bench, save tests and cli,
 * which loads it lazily. */
function common(folder: string, target: string, lazy: boolean): string | undefined {
  if (folder === 'test') return undefined
  if (within(target, 'test') && !within(target, 'test/conformance')) return 'nothing imports test'
  if (folder === 'bench') return undefined
  const isBench = within(target, 'bench') || target.startsWith('package @millrace/bench')
  if (isBench && !(folder === 'cli' && lazy)) return 'nothing imports bench, save cli, dynamically'
  return undefined
}

/** The imports of a source that break a rule. */
export function importOffences(source: Source): Offence[] {
  const folder = source.file.split('/')[0]
  const rule = rules[folder]
  if (rule === undefined) return []
  return importsOf(source).flatMap(({ specifier, lazy, erased, offset }) => {
    const target = targetOf(source.file, specifier)
    const why = common(folder, target, lazy) ?? rule(target, lazy || erased, source.file, erased)
    const line = lineOf(source, offset)
    return why === undefined ? [] : [{ file: source.file, line, message: `import of '${specifier}': ${why}` }]
  })
}
