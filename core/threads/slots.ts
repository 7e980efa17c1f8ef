/**
 * Who owns which slot (backend) and which index (service) of the shared table. Only the main thread allocates. What
 * leaves the config is reused only after every thread has released the last snapshot that named it.
 */
import { MillraceError } from '../host/errors.ts'

/** A number and the name that had it. */
export interface FreedSlot {
  readonly slot: number
  readonly name: string
}

export interface SlotPlan {
  readonly slots: ReadonlyMap<string, number>
  /** Those that nobody owned before. */
  readonly fresh: readonly FreedSlot[]
}

/** Numbers given to names, with a waiting room for those that threads may still use. */
export class SlotPool {
  readonly #capacity: number
  readonly #owned = new Map<string, number>()
  readonly #free: number[] = []
  /** Left the config with this revision; threads at or past it do not use them. */
  #retired: (FreedSlot & { readonly revision: number })[] = []
  #next = 0
  readonly #plans = new Set<SlotPlan>()
  readonly #onFree: (freed: readonly FreedSlot[]) => void

  /** @param onFree called when numbers have become free, before anyone else can get them */
  constructor(capacity: number, onFree: (freed: readonly FreedSlot[]) => void = () => {}) {
    this.#capacity = capacity
    this.#onFree = onFree
  }

  get(name: string): number | undefined {
    return this.#owned.get(name)
  }

  /** The name has a number, or will have one when a plan is committed. */
  claimed(name: string): boolean {
    return this.#owned.has(name) || [...this.#plans].some((plan) => plan.slots.has(name))
  }

  /** Numbers in use: owned, and waiting to be released. */
  get used(): number {
    return this.#next - this.#free.length
  }

  get waiting(): number {
    return this.#retired.length
  }

  /** Highest number ever given, plus one. */
  get highWater(): number {
    return this.#next
  }

  /**
   * A plan for the given names: those that exist keep their number, new ones get a free one. Nothing is owned by the new
   * names until `commit`; `abandon` gives the numbers back.
   * @throws MR_SHARED_FULL
   */
  plan(names: Iterable<string>): SlotPlan {
    const slots = new Map<string, number>()
    const fresh: FreedSlot[] = []
    const plan = { slots, fresh }
    this.#plans.add(plan)
    for (const name of names) {
      let slot = this.#owned.get(name)
      if (slot === undefined) {
        slot = this.#take()
        if (slot < 0) {
          this.abandon(plan)
          const message = `the shared table holds ${this.#capacity} entries; ${this.#retired.length} of them wait for old exchanges to end`
          throw new MillraceError('MR_SHARED_FULL', message)
        }
        fresh.push({ slot, name })
      }
      slots.set(name, slot)
    }
    return plan
  }

  /** The plan is now the truth. What it does not name is retired: unused by threads at or past `revision`. */
  commit(plan: SlotPlan, revision: number): void {
    this.#plans.delete(plan)
    for (const [name, slot] of this.#owned) {
      if (plan.slots.has(name)) continue
      this.#owned.delete(name)
      this.#retired.push({ revision, slot, name })
    }
    for (const [name, slot] of plan.slots) this.#owned.set(name, slot)
  }

  /** The plan was not committed, and no thread uses its new numbers any more. */
  abandon(plan: SlotPlan): void {
    this.#plans.delete(plan)
    this.#giveBack(plan.fresh)
  }

  /** No thread uses a snapshot older than `revision`. */
  release(revision: number): void {
    const done = this.#retired.filter((entry) => entry.revision <= revision)
    if (done.length === 0) return
    this.#retired = this.#retired.filter((entry) => entry.revision > revision)
    this.#giveBack(done)
  }

  #take(): number {
    const slot = this.#free.pop()
    if (slot !== undefined) return slot
    return this.#next < this.#capacity ? this.#next++ : -1
  }

  #giveBack(freed: readonly FreedSlot[]): void {
    if (freed.length === 0) return
    this.#onFree(freed)
    for (const { slot } of freed) this.#free.push(slot)
  }
}
