/**
 * What `import` means in plugin code, in the thread that installs it (hooks are not inherited by workers):
 *
 * - `millrace` and `millrace/…` are the running core, wherever the importing file lies and whatever is installed beside it;
 * - `.ts` outside `node_modules` is an ES module whatever a package.json says (inside, Node strips no types);
 * - the version of a plugin's code (`?millrace=<hash>`) goes on to its own files, so that changed code is a new instance
 *   of the plugin and of its helpers;
 * - files of a version that the thread holds as text are that text, whatever the disk holds now.
 */
import {
  type LoadFnOutput,
  type LoadHookContext,
  type ResolveFnOutput,
  type ResolveHookContext,
  registerHooks,
} from 'node:module'
import { compileFunction } from 'node:vm'
import type { HeldCode } from './held-code.ts'

const packageScheme = 'millrace-plugin:'
const versionPattern = /[?&]millrace=([\w-]+)/
const coreUrl = new URL('../', import.meta.url).href

type NextLoad = (url: string, context?: Partial<LoadHookContext>) => LoadFnOutput
type NextResolve = (specifier: string, context?: Partial<ResolveHookContext>) => ResolveFnOutput

/**
 * Installs the hooks in this thread. Harmless when it is done twice.
 * @param held code that comes from there instead of the disk
 */
export function installResolver(held?: HeldCode): { uninstall(): void } {
  const hooks = registerHooks(
    held
      ? {
          resolve: (specifier, context, next) => resolveHeld(held, specifier, context, next),
          load: (url, context, next) => loadHeld(held, url, context, next),
        }
      : { resolve },
  )
  return { uninstall: () => hooks.deregister() }
}

/** A URL that names one version of a plugin's code. */
export function versioned(url: string, hash: string): string {
  return `${url}?millrace=${hash}`
}

/** The text of a message without versions in it. */
export function withoutVersions(text: string): string {
  return text.replace(/[?&]millrace=[\w-]+/g, '')
}

/**
 * The URL that `specifier` has for code in a folder. Needs {@link installResolver}.
 *
 * @param folder file URL of the folder
 * @throws Node's resolution errors
 */
export function resolveFrom(specifier: string, folder: string): string {
  return import.meta.resolve(packageScheme + encodeURIComponent(JSON.stringify([specifier, folder])))
}

function resolve(specifier: string, context: ResolveHookContext, next: NextResolve): ResolveFnOutput {
  if (specifier === 'millrace' || specifier.startsWith('millrace/')) {
    // As if the core itself had asked: Node resolves a package's own name through its `exports`, in a checkout as in dist.
    // `require` looks only beside its own file, so there the answer is the one that `import` gets.
    if (isRequire(context)) return { url: import.meta.resolve(specifier), shortCircuit: true }
    return next(specifier, { ...context, parentURL: import.meta.url })
  }
  if (specifier.startsWith(packageScheme)) {
    const [name, folder] = JSON.parse(decodeURIComponent(specifier.slice(packageScheme.length))) as [
      string,
      string,
    ]
    return next(name, {
      ...context,
      parentURL: new URL('import-from-here.js', `${folder.replace(/\/$/, '')}/`).href,
    })
  }
  const resolved = next(specifier, context)
  // `require` has no versions, and asks for what package.json says.
  return isRequire(context) ? resolved : ownCode(resolved, context.parentURL)
}

function isRequire(context: ResolveHookContext): boolean {
  return context.conditions.includes('require')
}

function ownCode(resolved: ResolveFnOutput, parent: string | undefined): ResolveFnOutput {
  const { url } = resolved
  if (!url.startsWith('file:') || isInNodeModules(url)) return resolved
  const version = versionOf(parent)
  const passOn = version !== undefined && !versionPattern.test(url) && !url.startsWith(coreUrl)
  return {
    ...resolved,
    url: passOn ? `${url}${url.includes('?') ? '&' : '?'}millrace=${version}` : url,
    format: /\.ts(?:[?#]|$)/.test(url) ? 'module-typescript' : resolved.format,
  }
}

/** As `resolve`, also for files that are no longer on the disk. */
function resolveHeld(
  held: HeldCode,
  specifier: string,
  context: ResolveHookContext,
  next: NextResolve,
): ResolveFnOutput {
  try {
    return resolve(specifier, context, next)
  } catch (error) {
    const { parentURL } = context
    const hash = versionOf(parentURL) ?? versionOf(specifier)
    const local = /^(?:\.{1,2}\/|file:)/.test(specifier)
    if (hash === undefined || !local) throw error
    const url = withoutVersions(new URL(specifier, parentURL).href)
    if (held.text(hash, url) === undefined) throw error
    return { url: versioned(url, hash), format: formatOf(url), shortCircuit: true }
  }
}

function loadHeld(held: HeldCode, url: string, context: LoadHookContext, next: NextLoad): LoadFnOutput {
  const hash = versionOf(url)
  const source = hash === undefined ? undefined : held.text(hash, withoutVersions(url))
  if (source === undefined) return next(url, context)
  const format = formatOf(withoutVersions(url)) ?? context.format ?? formatOfText(url, source)
  // CommonJS stays Node's.
  const plain = format === 'module' || format === 'module-typescript' || format === 'json'
  return plain ? { format, source, shortCircuit: true } : next(url, context)
}

function versionOf(url: string | undefined): string | undefined {
  return url?.match(versionPattern)?.[1]
}

function formatOf(url: string): 'module-typescript' | 'module' | undefined {
  if (/\.m?ts$/.test(url)) return 'module-typescript'
  return url.endsWith('.mjs') ? 'module' : undefined
}

/** Of a `.js` file where no package.json says what it is: as Node does, but of the text that is held, not of what the disk holds now. */
function formatOfText(url: string, text: string): 'module' | undefined {
  if (!withoutVersions(url).endsWith('.js')) return undefined
  try {
    compileFunction(text, ['exports', 'require', 'module', '__filename', '__dirname'])
    return undefined
  } catch {
    return 'module'
  }
}

/** True for code of installed packages. */
export function isInNodeModules(url: string): boolean {
  return url.includes('/node_modules/')
}
