/** Versions of plugin code that a thread was handed as text. Its module hooks ask here before they look on the disk, which
 * may hold another version, half of one, or nothing any more. */
import type { CodeFiles } from './code-hash.ts'

export class HeldCode {
  #versions = new Map<string, CodeFiles>()
  #before = new Map<string, CodeFiles>()

  /** From now on these are there, and those of the time before: what still runs may import a file late. */
  hold(versions: readonly CodeFiles[]): void {
    this.#before = this.#versions
    this.#versions = new Map(versions.map((code) => [code.hash, code]))
  }

  /** The text of a file of a version; undefined when it is not held. */
  text(hash: string, url: string): string | undefined {
    return (this.#versions.get(hash) ?? this.#before.get(hash))?.files.get(url)
  }
}
