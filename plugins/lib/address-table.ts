import { type AddressBlock, AddressWords } from './address.ts'

/** A block and what holds for the addresses in it. */
export interface Rule {
  readonly block: AddressBlock
  readonly verdict: number
}

const widest = 128

/**
 * Verdicts by address: that of the longest block that holds it. The blocks are cut into intervals that do not overlap, so a
 * look-up is one binary search over their first addresses, whatever the number of blocks. IPv4 stands in a table of its
 * own: `::/0` does not hold it.
 */
export class AddressTable {
  readonly #none: number
  readonly #address = new AddressWords()
  readonly #ipv4: Intervals
  readonly #ipv6: Intervals
  // One client sends many requests in a row.
  #lastText = ''
  #lastVerdict: number

  /** @param none verdict where no block holds the address, or where it is no address at all */
  constructor(rules: readonly Rule[], none: number) {
    this.#none = none
    this.#lastVerdict = none
    this.#ipv4 = new Intervals(
      rules.filter(({ block }) => block.ipv4),
      none,
    )
    this.#ipv6 = new Intervals(
      rules.filter(({ block }) => !block.ipv4),
      none,
    )
  }

  // HOT
  find(text: string): number {
    if (text === this.#lastText) return this.#lastVerdict
    const address = this.#address
    this.#lastText = text
    this.#lastVerdict = !address.read(text)
      ? this.#none
      : (address.isIPv4 ? this.#ipv4 : this.#ipv6).find(address.words)
    return this.#lastVerdict
  }
}

class Intervals {
  /** Four words each, ascending. */
  readonly #starts: Uint32Array
  readonly #verdicts: Uint8Array
  readonly #none: number

  constructor(rules: readonly Rule[], none: number) {
    const starts: (readonly number[])[] = []
    const verdicts: number[] = []
    const begin = (words: readonly number[], verdict: number): void => {
      // What begins where another began, or where one has just ended, takes its place.
      if (starts.length > 0 && compare(starts[starts.length - 1], words) === 0) {
        starts.pop()
        verdicts.pop()
      }
      starts.push(words)
      verdicts.push(verdict)
    }
    // Blocks are nested or apart. An outer one stands before the inner ones that it holds.
    const sorted = [...rules].sort(
      (a, b) => compare(a.block.words, b.block.words) || a.block.bits - b.block.bits,
    )
    const open: { end: readonly number[] | undefined; verdict: number }[] = []
    const close = (before: readonly number[] | undefined): void => {
      for (let top = open.at(-1); top; top = open.at(-1)) {
        if (before && (top.end === undefined || compare(top.end, before) > 0)) return
        open.pop()
        if (top.end) begin(top.end, open.at(-1)?.verdict ?? none)
      }
    }
    for (const { block, verdict } of sorted) {
      close(block.words)
      begin(block.words, verdict)
      open.push({ end: after(block), verdict })
    }
    close(undefined)
    this.#starts = Uint32Array.from(starts.flat())
    this.#verdicts = Uint8Array.from(verdicts)
    this.#none = none
  }

  // HOT
  find(words: Uint32Array): number {
    const starts = this.#starts
    let low = 0
    let high = this.#verdicts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAfter(starts, middle * 4, words)) high = middle
      else low = middle + 1
    }
    return low === 0 ? this.#none : this.#verdicts[low - 1]
  }
}

// HOT
function isAfter(starts: Uint32Array, at: number, words: Uint32Array): boolean {
  for (let word = 0; word < 4; word++) {
    if (starts[at + word] !== words[word]) return starts[at + word] > words[word]
  }
  return false
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let word = 0; word < 4; word++) if (a[word] !== b[word]) return a[word] - b[word]
  return 0
}

/** The first address behind a block; undefined where it reaches to the end. */
function after({ words, bits }: AddressBlock): readonly number[] | undefined {
  const size = 1n << BigInt(widest - bits)
  let value = words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n) + size
  if (value >> BigInt(widest) > 0n) return undefined
  const next = [0, 0, 0, 0]
  for (let word = 3; word >= 0; word--) {
    next[word] = Number(value & 0xffffffffn)
    value >>= 32n
  }
  return next
}
