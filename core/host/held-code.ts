/** Versions of plugin code that a thread was handed as text. Its module hooks ask here before they look on the disk, which
 * may hold another version, half of one, or nothing any more. */
import type { CodeFiles } from './code-hash.ts'

export class HeldCode {
  readonly #versions = new Map<string, CodeFiles>()

  /** From now on these are there too. None is forgotten: what runs may import a file late, whatever was refused since, and the
   * thread keeps the modules of every version anyway. */
  hold(versions: readonly CodeFiles[]): void {
    for (const code of versions) this.#versions.set(code.hash, code)
  }

  /** The text of a file of a version; undefined when it is not held. */
  text(hash: string, url: string): string | undefined {
    return this.#versions.get(hash)?.files.get(url)
  }
}
