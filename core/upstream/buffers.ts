/**
 * Read buffers of one thread. While a connection waits for an answer it reads into the thread's one shared buffer, whose
 * bytes must be copied (or written as a string, which copies) before the read callback returns. While it streams it owns a
 * buffer, which it may fill again only when everything that was written from it has left: a small one at first, a large one
 * when its reads fill the small one, as long as the thread's share of large ones lasts.
 */
export class ReadBuffers {
  /** Bytes of the shared buffer: what a small answer fits into. */
  static readonly sharedBytes = 16 * 1024
  /** Bytes of an owned buffer: a 64 KiB body and its head in one read. */
  static readonly smallBytes = 68 * 1024
  /** Bytes of a large one: measured, 1 MiB bodies cost a third less CPU than with small ones. */
  static readonly largeBytes = 260 * 1024
  /** Large buffers out at once: 16 MiB. */
  static readonly maxLarge = 64
  /** Bytes before an owned buffer, in the same memory: a head is put there, right before the body it belongs to, so that
   * both leave in one plain write (a gathering write costs more than the copy of the head). */
  static readonly headroom = 1024
  /** Owned buffers that idle connections may keep, because their last answer was large. */
  static readonly maxRetained = 256
  static readonly #maxFree = 64

  readonly shared = Buffer.allocUnsafeSlow(ReadBuffers.sharedBytes)
  readonly #small: Buffer[] = []
  readonly #large: Buffer[] = []
  #largeOut = 0
  retained = 0

  takeSmall(): Buffer {
    return this.#small.pop() ?? allocate(ReadBuffers.smallBytes)
  }

  /** undefined: the share is used up. */
  takeLarge(): Buffer | undefined {
    if (this.#largeOut >= ReadBuffers.maxLarge) return undefined
    this.#largeOut++
    return this.#large.pop() ?? allocate(ReadBuffers.largeBytes)
  }

  /** Takes back a buffer that nothing is written from any more. */
  give(buffer: Buffer): void {
    const large = buffer.length === ReadBuffers.largeBytes
    if (large) this.#largeOut--
    const free = large ? this.#large : this.#small
    if (free.length < ReadBuffers.#maxFree) free.push(buffer)
  }

  /** A buffer stays with the write that is still using it; the collector takes it. */
  forget(buffer: Buffer): void {
    if (buffer.length === ReadBuffers.largeBytes) this.#largeOut--
  }
}

function allocate(bytes: number): Buffer {
  const { headroom } = ReadBuffers
  return Buffer.allocUnsafeSlow(headroom + bytes).subarray(headroom)
}
