/** Finds what a mistyped word was probably meant to be. */

/**
 * The candidate nearest to `word`, or undefined when none is near enough to be a likely slip: case and separators are
 * free (`roundRobin` → `round-robin`), one slip in up to 5 letters, two in up to 8, three beyond; else the only
 * candidate that begins with the word, or of which it is one of the words (`breaker` → `circuit-breaker`). A word that is a
 * candidate itself is no slip.
 *
 * @param most a stricter number of slips; then a mere part does not count either
 */
export function closest(word: string, candidates: readonly string[], most?: number): string | undefined {
  const given = plain(word)
  if (given === '' || candidates.includes(word)) return undefined
  const usual = given.length <= 2 ? 0 : given.length <= 5 ? 1 : given.length <= 8 ? 2 : 3
  const limit = most === undefined ? usual : Math.min(usual, most)
  let best: string | undefined
  let bestSlips = limit + 1
  for (const candidate of candidates) {
    const slips = slipsBetween(given, plain(candidate), bestSlips)
    if (slips < bestSlips) {
      best = candidate
      bestSlips = slips
    }
  }
  if (best !== undefined || most !== undefined || given.length < 3) return best
  return (
    only(candidates, (candidate) => plain(candidate).startsWith(given)) ??
    only(candidates, (candidate) => candidate.split('-').includes(word.toLowerCase()))
  )
}

/** ` — did you mean "x"?`, or nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const found = closest(word, candidates)
  return found === undefined ? '' : ` — did you mean "${found}"?`
}

function only(candidates: readonly string[], fits: (candidate: string) => boolean): string | undefined {
  const found = candidates.filter(fits)
  return found.length === 1 ? found[0] : undefined
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '')
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment); stops counting at `enough`. */
function slipsBetween(a: string, b: string, enough: number): number {
  if (Math.abs(a.length - b.length) >= enough) return enough
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, last[j] + 1, row[j - 1] + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], beforeLast[j - 2] + 1)
      }
    }
    beforeLast = last
    last = row
  }
  return last[b.length]
}
