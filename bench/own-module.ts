/** Modules of the bench that are started rather than imported: as threads, or as programs of their own. */

/**
 * @param path relative, without its ending: `.ts` in a checkout, `.js` in the published package
 * @param from the `import.meta.url` that it is relative to
 */
export function ownModule(path: string, from: string): URL {
  return new URL(`${path}${from.endsWith('.ts') ? '.ts' : '.js'}`, from)
}
