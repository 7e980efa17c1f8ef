/**
 * Packages that only the bench needs. The bench is part of the `millrace` package; they are dependencies of `@millrace/bench`,
 * so that nobody installs them who does not measure. They are asked for there, never beside `millrace`: an installer may keep
 * packages apart, and the one beside `millrace` may be somebody else's, in another version.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '../core/host/errors.ts'

const names = ['@fastify/reply-from', 'autocannon', 'http-proxy', 'tinybench', 'uplot'] as const
export type BenchPackage = (typeof names)[number]

/** The working folder is the project of whoever measures. In a checkout it is this folder that is found, by its own name. */
const usualPlaces = (): string[] => [import.meta.url, join(process.cwd(), 'here.js')]

/**
 * The file that an import of the package leads to.
 *
 * @param places files from where `@millrace/bench` is looked for, in this order
 * @throws MR_PACKAGE_MISSING
 */
export function packageFile(
  specifier: BenchPackage | `${BenchPackage}/package.json`,
  places: readonly string[] = usualPlaces(),
): string {
  const found = places
    .map((place) => resolveFrom('@millrace/bench/package.json', place))
    .find((file) => file !== undefined)
  const file = found && resolveFrom(specifier, found)
  if (file !== undefined) return file
  const missing = found === undefined ? '@millrace/bench' : specifier
  const remedy = import.meta.url.endsWith('.ts') ? 'npm ci' : 'npm install --save-dev @millrace/bench'
  throw new MillraceError(
    'MR_PACKAGE_MISSING',
    `the benchmark harness needs ${missing}, which is not installed: ${remedy}`,
  )
}

/** What `import` of it takes in other processes too. @throws MR_PACKAGE_MISSING */
export const packageUrl = (name: BenchPackage): string => pathToFileURL(packageFile(name)).href

/** All of them, before anything is measured. @throws MR_PACKAGE_MISSING */
export function checkPackages(): void {
  for (const name of names) packageFile(name)
}

/** undefined: it is not there. */
function resolveFrom(specifier: string, place: string): string | undefined {
  try {
    return createRequire(place).resolve(specifier)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}
