/** The files of a new plugin, from the templates of its kind. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { CorePlace } from './core-place.ts'

/** Kinds that something hosts today, and how a config uses a plugin of them. Each has a folder of templates. */
export const useTexts = {
  algorithm: (name: string) => `algorithm: ${name}`,
  'circuit-breaker': (name: string) => `breaker: ${name}`,
  filter: (name: string) => `filters: [${name}]`,
  'health-source': (name: string) => `health: ${name}`,
}
export type WritableKind = keyof typeof useTexts

interface NewPlugin {
  readonly kind: WritableKind
  readonly name: string
  /** Absolute. */
  readonly folder: string
  readonly core: CorePlace
  readonly version: string
}

const templates = new URL('./templates/', import.meta.url)

function template(file: string, words: Readonly<Record<string, string>>): string {
  const text = readFileSync(new URL(file, templates), 'utf8')
  return text.replaceAll(/\{\{(\w+)\}\}/g, (_whole, word: string) => words[word])
}

/** For git; where there is one already it is left alone. */
export const ignoreFile = '.gitignore'

/** Text by file name. */
export function pluginFiles(plugin: NewPlugin): Readonly<Record<string, string>> {
  const { kind, name, folder, version } = plugin
  // The config lies beside the folder.
  const place = `./${path.basename(folder)}/${name}.ts`
  const words = { kind, name, package: packageName(name), path: quoted(place) }
  const config = template(`${kind}/config.yaml.txt`, words)
  const requests = benchFile(kind, words)
  const bench =
    requests === undefined
      ? ''
      : `\`${name}.bench.yaml\` says with which options and headers it is measured. `
  return {
    [`${name}.ts`]: template(`${kind}/plugin.ts.txt`, words),
    [`${name}.test.ts`]: template(`${kind}/test.ts.txt`, words),
    ...(requests === undefined ? {} : { [`${name}.bench.yaml`]: requests }),
    'README.md': template('readme.md.txt', { ...words, config, bench, core: coreVersion(plugin), version }),
    'package.json': json(manifest(plugin)),
    ...typeFiles(plugin),
    [ignoreFile]: template('gitignore.txt', words),
  }
}

/** Of the running core, in `devDependencies`: where it lies, seen from the plugin. */
const coreVersion = ({ core, folder }: NewPlugin): string =>
  `file:${path.relative(folder, core.root).replaceAll('\\', '/')}`

/** Only a filter is measured with requests of its own. */
const benchFile = (kind: WritableKind, words: Readonly<Record<string, string>>): string | undefined =>
  kind === 'filter' ? template('filter/bench.yaml.txt', words) : undefined

/** In a list of YAML. */
const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : JSON.stringify(text))

const packageName = (name: string): string => `millrace-${name}`
const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

function manifest(plugin: NewPlugin): object {
  const { kind, name, version } = plugin
  return {
    name: packageName(name),
    version: '0.1.0',
    description: `The ${kind} ${name} for Millrace`,
    keywords: ['millrace', kind],
    type: 'module',
    exports: { '.': { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` } },
    files: ['dist'],
    engines: { node: '>=24' },
    scripts: {
      test: 'millrace plugin test',
      bench: `millrace bench plugin ./${name}.ts`,
      build: 'tsc -p tsconfig.build.json',
      prepack: 'npm run build',
    },
    peerDependencies: { millrace: `^${version}` },
    devDependencies: { '@types/node': '^24.0.0', millrace: coreVersion(plugin), typescript: '>=5.9' },
  }
}

/** For the editor and tsc; Node itself reads none of it. Types come from node_modules, by links or installed. */
function typeFiles({ name }: NewPlugin): Record<string, string> {
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    ...{ erasableSyntaxOnly: true, verbatimModuleSyntax: true, isolatedModules: true },
    ...{ allowImportingTsExtensions: true, rewriteRelativeImportExtensions: true },
    types: ['node'],
  }
  const build = { noEmit: false, rootDir: '.', outDir: 'dist', declaration: true }
  return {
    'tsconfig.json': json({ compilerOptions, include: ['*.ts'] }),
    'tsconfig.build.json': json({
      extends: './tsconfig.json',
      compilerOptions: build,
      include: [`${name}.ts`],
    }),
  }
}
