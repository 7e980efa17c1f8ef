/**
 * Read buffers of one thread. While a connection waits for an answer it reads into the thread's one shared buffer, whose
 * bytes must be copied (or written as a string, which copies) before the read callback returns. From an answer's second read
 * on it owns a buffer, which it may fill again only when everything that was written from it has left, and which it gives
 * back with the end of the answer: buffers are a stack, so that the next one is likely to be warm in the cache. An owned
 * buffer is small at first, large when reads fill it, as long as the thread's share of large ones lasts.
 */
export class ReadBuffers {
  /** Bytes of the shared buffer: what a small answer fits into. */
  static readonly sharedBytes = 8 * 1024
  /** Bytes of an owned buffer: a 64 KiB body and its head in one read. */
  static readonly smallBytes = 68 * 1024
  /** Bytes of a large one: measured, 1 MiB bodies cost a third less CPU than with small ones. */
  static readonly largeBytes = 260 * 1024
  /** Large buffers out at once: 16 MiB. */
  static readonly maxLarge = 64
  /** Buffers that connections may keep between answers: 10 MiB. */
  static readonly maxKept = 128
  /** Bytes before an owned buffer, in the same memory: what was read into the shared buffer (head and first bytes) is
   * put there, right before the rest of the body, so that all leave in one plain write (a gathering write costs more than the copy of the head). */
  static readonly headroom = 12 * 1024
  static readonly #maxFree = 64

  readonly shared: Buffer
  readonly #small: Buffer[] = []
  readonly #large: Buffer[] = []
  #largeOut = 0
  #kept = 0

  /** @param shared of `sharedBytes`: where connections read small answers */
  constructor(shared: Buffer) {
    this.shared = shared
  }

  takeSmall(): Buffer {
    return this.#small.pop() ?? allocate(ReadBuffers.smallBytes)
  }

  /** undefined: the share is used up. */
  takeLarge(): Buffer | undefined {
    if (this.#largeOut >= ReadBuffers.maxLarge) return undefined
    this.#largeOut++
    return this.#large.pop() ?? allocate(ReadBuffers.largeBytes)
  }

  /** HOT Counts a buffer that stays with its connection between two answers. False: there are enough of them. */
  keep(): boolean {
    if (this.#kept >= ReadBuffers.maxKept) return false
    this.#kept++
    return true
  }

  /** Such a buffer has been given back or left to a write. */
  unkeep(): void {
    this.#kept--
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
