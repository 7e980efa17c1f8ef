/** Of something that is scarce, so much is given out in all, and to each address a part of it only: no address can take it from the others. */

export interface SharesLimits {
  readonly all: number
  readonly each: number
}

export class Shares {
  readonly #limits: SharesLimits
  readonly #held = new Map<string, number>()
  #all = 0

  constructor(limits: SharesLimits) {
    this.#limits = limits
  }

  /** False: nothing was taken. */
  take(address: string, amount: number): boolean {
    const held = (this.#held.get(address) ?? 0) + amount
    if (held > this.#limits.each || this.#all + amount > this.#limits.all) return false
    this.#held.set(address, held)
    this.#all += amount
    return true
  }

  give(address: string, amount: number): void {
    const held = (this.#held.get(address) ?? 0) - amount
    if (held > 0) this.#held.set(address, held)
    else this.#held.delete(address)
    this.#all -= amount
  }

  /** Addresses that hold something. */
  get size(): number {
    return this.#held.size
  }
}
