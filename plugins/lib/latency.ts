/**
 * The latency of one backend in memory that all threads share: an exponentially weighted average over time that jumps to
 * a peak at once and comes down slowly (`PeakEwma` of Finagle). Plain loads and stores: two threads that write at once lose
 * one sample. Zeroed memory: nothing is known.
 */
export class Latency {
  static readonly bytes = 8
  /** [0] average in microseconds, 0 unknown; [1] shared time of the last sample. Int32: a double would be boxed. */
  private readonly cells: Int32Array

  constructor(memory: Uint8Array<SharedArrayBuffer>) {
    this.cells = new Int32Array(memory.buffer, memory.byteOffset, 2)
  }

  get known(): boolean {
    return this.cells[0] !== 0
  }

  /** In milliseconds; 0 unknown. */
  get ms(): number {
    return this.cells[0] / 1000
  }

  // HOT
  observe(ms: number, now: number, decayMs: number): void {
    const sample = toMicros(ms)
    const { cells } = this
    const average = cells[0]
    if (sample < average) {
      const keep = Math.exp(-Math.max(0, (now - cells[1]) | 0) / decayMs)
      cells[0] = Math.max(1, Math.round(average * keep + sample * (1 - keep)))
    } else cells[0] = sample
    cells[1] = now
  }

  /** A sample that cannot make the average better. */
  worsen(ms: number, now: number, decayMs: number): void {
    this.observe(Math.max(ms, this.ms), now, decayMs)
  }

  // HOT
  /** This average / the other one, both decayed to the same moment. */
  relativeTo(other: Latency, decayMs: number): number {
    const apart = (this.cells[1] - other.cells[1]) | 0
    const ratio = this.cells[0] / other.cells[0]
    return apart === 0 ? ratio : ratio * Math.exp(apart / decayMs)
  }

  /** What is so old that its time may have wrapped says nothing. */
  forgetOld(now: number, decayMs: number): void {
    const age = (now - this.cells[1]) | 0
    if (age < -1000 || age > 100 * decayMs) this.cells[0] = 0
  }
}

/** 1 µs to half an hour. */
function toMicros(ms: number): number {
  return Math.round(Math.min(Math.max(ms * 1000, 1), 2 ** 31 - 1))
}
