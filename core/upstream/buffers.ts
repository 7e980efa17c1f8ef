/**
 * Read buffers of one thread. While a connection waits for an answer it reads into the thread's one shared buffer, whose
 * bytes must be copied (or written as a string, which copies) before the read callback returns. While it streams it owns a
 * large buffer, which it may fill again only when everything that was written from it has left.
 */
export class ReadBuffers {
  /** Bytes of the shared buffer: what a small answer fits into. */
  static readonly sharedBytes = 16 * 1024
  /** Bytes of an owned buffer: a 64 KiB body and its head in one read. */
  static readonly ownedBytes = 68 * 1024
  /** Bytes before an owned buffer, in the same memory: a head is put there, right before the body it belongs to, so that
   * both leave in one plain write (a gathering write costs more than the copy of the head). */
  static readonly headroom = 1024
  /** Owned buffers that idle connections may keep, because their last answer was large. */
  static readonly maxRetained = 256
  static readonly #maxFree = 64

  readonly shared = Buffer.allocUnsafeSlow(ReadBuffers.sharedBytes)
  readonly #free: Buffer[] = []
  retained = 0

  take(): Buffer {
    const { headroom, ownedBytes } = ReadBuffers
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(headroom + ownedBytes).subarray(headroom)
  }

  give(buffer: Buffer): void {
    if (this.#free.length < ReadBuffers.#maxFree) this.#free.push(buffer)
  }
}
