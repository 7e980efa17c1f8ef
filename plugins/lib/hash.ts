/** Non-cryptographic hashes for placing backends and keys. All results are int32, so that they never leave the small
 * integers of the engine (a larger one would be boxed, 16 bytes each); make them unsigned with `>>> 0` at the use. */

/** MurmurHash3 `fmix32`: spreads every input bit over all output bits; a bijection. */
export function mix32(value: number): number {
  let h = value
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** MurmurHash3 x86-32 over the string's UTF-16 code units, two to a block. The same on every machine and version. */
export function hashString(text: string, seed: number): number {
  let h = seed | 0
  let at = 0
  for (; at + 1 < text.length; at += 2) {
    h ^= scramble(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16))
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  if (at < text.length) h ^= scramble(text.charCodeAt(at))
  return mix32(h ^ (text.length * 2))
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}
