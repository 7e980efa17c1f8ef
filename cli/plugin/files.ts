/** The files of a new plugin, from the templates of its kind. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type CorePlace, commandText, typePlaces } from './core-place.ts'

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
  const { kind, name, core, folder } = plugin
  // The config lies beside the folder.
  const place = `./${path.basename(folder)}/${name}.ts`
  const words = { kind, name, package: packageName(name), path: quoted(place), command: commandText(core) }
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
    'README.md': template('readme.md.txt', { ...words, config, bench, types: typesNote(core) }),
    'package.json': json(manifest(plugin)),
    ...typeFiles(plugin),
    [ignoreFile]: template('gitignore.txt', words),
  }
}

/** Of a checkout, `plugin new` cannot know whether it has been built. */
const typesNote = ({ isCheckout, root }: CorePlace): string =>
  isCheckout
    ? `The build takes the types of Millrace from \`dist/\` of its checkout: run \`npm run build\` in \`${root}\` once.`
    : ''

/** Only a filter is measured with requests of its own. */
const benchFile = (kind: WritableKind, words: Readonly<Record<string, string>>): string | undefined =>
  kind === 'filter' ? template('filter/bench.yaml.txt', words) : undefined

/** In a list of YAML. */
const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : JSON.stringify(text))

const packageName = (name: string): string => `millrace-${name}`
const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

function manifest({ kind, name, version }: NewPlugin): object {
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
      test: 'millrace plugin test .',
      bench: `millrace bench plugin ./${name}.ts`,
      build: 'tsc -p tsconfig.build.json',
      prepack: 'npm run build',
    },
    peerDependencies: { millrace: `^${version}` },
    devDependencies: { '@types/node': '^24.0.0', typescript: '>=5.9' },
  }
}

/** For the editor and tsc; Node itself reads none of it. */
function typeFiles({ name, folder, core }: NewPlugin): Record<string, string> {
  const { paths, buildPaths, typeRoots } = typePlaces(core, folder)
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
    typeRoots,
    paths,
  }
  const build = { noEmit: false, rootDir: '.', outDir: 'dist', declaration: true, paths: buildPaths }
  return {
    'tsconfig.json': json({ compilerOptions, include: ['*.ts'] }),
    'tsconfig.build.json': json({
      extends: './tsconfig.json',
      compilerOptions: build,
      include: [`${name}.ts`],
    }),
  }
}
