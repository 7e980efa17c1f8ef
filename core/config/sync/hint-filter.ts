/** Which hints are worth a read, and how soon. Doubled and late ones cost nothing; forged ones cost few reads a second,
 * however many they are. */
import type { RevisionRef } from '../../contracts/config-store.ts'
import type { RawClock } from '../../host/clock.ts'

const known = 128
const mostOpen = 16
const firstWaitMs = 25
/** Also the most that a flood of forged hints delays a true one. */
const longestWaitMs = 250
/** Reads for a revision that was hinted at and is not there. */
const triesPerRevision = 5

export class HintFilter {
  readonly #clock: RawClock
  /** Ids of revisions that were dealt with, by number. */
  readonly #known = new Map<number, string>()
  /** Revisions that were hinted at since the last read began; more than a few are read for in any case. */
  #open: RevisionRef[] = []
  /** The newest that was hinted at and that no read has shown. */
  #wanted: RevisionRef | undefined
  #triesLeft = 0
  /** Reads in a row that have brought nothing new. */
  #vain = 0
  #notBefore = Number.NEGATIVE_INFINITY

  constructor(clock: RawClock) {
    this.#clock = clock
  }

  /** Notes what is to be read; false: it was dealt with long ago. A known number with another id is a fork, or forged: read. */
  isNews(revision: RevisionRef): boolean {
    if (this.#isKnown(revision)) return false
    if (this.#open.length < mostOpen) this.#open.push(revision)
    if (revision.number > (this.#wanted?.number ?? 0)) {
      this.#wanted = revision
      this.#triesLeft = triesPerRevision
    }
    return true
  }

  /** A revision was hinted at that no read has shown yet. */
  get misses(): boolean {
    return this.#wanted !== undefined
  }

  /** Whether a store with this head has the newest revision that was hinted at. */
  isShownBy(head: RevisionRef | undefined): boolean {
    const wanted = this.#wanted
    if (!wanted || !head) return !wanted
    return head.number === wanted.number ? head.id === wanted.id : head.number > wanted.number
  }

  /** Whether something that was hinted at since the last call is not known yet. */
  takeOpen(): boolean {
    const open = this.#open
    this.#open = []
    return open.length === mostOpen || open.some((revision) => !this.#isKnown(revision))
  }

  get remainingMs(): number {
    return Math.max(0, this.#notBefore - this.#clock.now())
  }

  /**
   * A read has ended.
   * @param outcome `vain`: a hint had asked for it, and there was nothing new; `regular`: nobody had
   */
  read(head: RevisionRef | undefined, outcome: 'new' | 'vain' | 'regular'): void {
    if (head) this.#remember(head)
    if (this.#wanted && (head?.number ?? 0) >= this.#wanted.number) this.#wanted = undefined
    else if (this.#wanted && --this.#triesLeft <= 0) this.#wanted = undefined
    if (outcome === 'new') {
      this.#vain = 0
      this.#notBefore = Number.NEGATIVE_INFINITY
    }
    if (outcome !== 'vain') return
    const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(this.#vain++, 8))
    this.#notBefore = this.#clock.now() + wait
  }

  #isKnown({ number, id }: RevisionRef): boolean {
    return this.#known.get(number) === id
  }

  #remember({ number, id }: RevisionRef): void {
    this.#known.delete(number)
    this.#known.set(number, id)
    for (const old of this.#known.keys()) {
      if (this.#known.size <= known) break
      this.#known.delete(old)
    }
  }
}
