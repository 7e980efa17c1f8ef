import { Buffer } from 'node:buffer'

/**
 * The same latin1 text in one piece. What is put together with `+` stays a tree of its pieces, which every write that it is
 * part of walks anew: 0.2 µs for a dozen pieces. Worth it for text that is kept and written again and again.
 */
export function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
