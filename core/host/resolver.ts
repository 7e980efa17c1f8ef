/**
 * What `import` means in plugin code, in the thread that installs it (hooks are not inherited by workers):
 *
 * - `millrace` and `millrace/…` are the running core, wherever the importing file lies and whatever is installed beside it;
 * - `.ts` outside `node_modules` is an ES module whatever a package.json says (inside, Node strips no types);
 * - the version of a plugin's code (`?millrace=<hash>`) goes on to its own files, so that changed code is a new instance
 *   of the plugin and of its helpers.
 */
import { type ResolveFnOutput, type ResolveHookContext, registerHooks } from 'node:module'

const packageScheme = 'millrace-plugin:'
const versionPattern = /[?&]millrace=[\w-]+/
const coreUrl = new URL('../', import.meta.url).href

type NextResolve = (specifier: string, context?: Partial<ResolveHookContext>) => ResolveFnOutput

/** Installs the hooks in this thread. Harmless when it is done twice. */
export function installResolver(): { uninstall(): void } {
  const hooks = registerHooks({ resolve })
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
  const version = parent?.match(versionPattern)?.[0].slice(1)
  const passOn = version !== undefined && !versionPattern.test(url) && !url.startsWith(coreUrl)
  return {
    ...resolved,
    url: passOn ? `${url}${url.includes('?') ? '&' : '?'}${version}` : url,
    format: /\.ts(?:[?#]|$)/.test(url) ? 'module-typescript' : resolved.format,
  }
}

/** True for code of installed packages. */
export function isInNodeModules(url: string): boolean {
  return url.includes('/node_modules/')
}
