/**
 * Memory of what a client sends. Node reads each piece into fresh memory, 64 KiB for plain sockets, that lies there until V8
 * collects: a second of uploads is half a GB of it, each page new to the kernel and to the caches, and full collections all the time.
 * Given back at once, it is what the allocator hands out for the next read: uploads of 1 MiB cost less than half (docs/decisions/0014).
 */
import type { Buffer } from 'node:buffer'

/** Bytes. Smaller pieces cost the allocator little; a TLS record is of 16 KiB. */
const worthIt = 16_384

/** Whether it would be worth it: the bytes fill memory of their own. */
export const ownsMemory = (bytes: Buffer): boolean =>
  bytes.length >= worthIt && bytes.buffer.byteLength === bytes.length && bytes.buffer instanceof ArrayBuffer

/** HOT Frees the memory of bytes that `ownsMemory` holds for, and that nobody will read again: they have length 0 then. */
export function giveBack(bytes: Buffer): void {
  const memory = bytes.buffer as ArrayBuffer
  memory.transfer(0)
}
