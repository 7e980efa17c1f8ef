/** Random integers for the hot path. `context.random()` gives a double, which costs an allocation wherever the engine
 * does not inline it; this generator is seeded from it once and then stays within small integers. */

/** Results of {@link RandomSource.next31} are below this. */
export const span = 0x80000000

/** sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, passes PractRand and BigCrush. */
export class RandomSource {
  private readonly state = new Int32Array(4)

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    for (let i = 0; i < 3; i++) this.state[i] = Math.floor(random() * 0x100000000)
    this.state[3] = 1
    for (let i = 0; i < 12; i++) this.next31()
  }

  /** Uniform in [0, 2^31). */
  next31(): number {
    const state = this.state
    const sum = (state[0] + state[1] + state[3]) | 0
    state[3]++
    state[0] = state[1] ^ (state[1] >>> 9)
    state[1] = state[2] + (state[2] << 3)
    state[2] = ((state[2] << 21) | (state[2] >>> 11)) + sum
    return sum >>> 1
  }
}
