/** A FIFO whose members can leave from the middle in O(1): the links are in the members. A member is in one list at most. */
export interface Waiter<C> {
  waitNext: Waiter<C> | undefined
  waitPrevious: Waiter<C> | undefined
  waitList: WaitList<C> | undefined
  /** May be sent behind another on one connection (pipelining). */
  readonly mayShare: boolean
  /** A connection is yours. */
  granted(connection: C): void
  /** There will be none. */
  refused(error: unknown): void
}

export class WaitList<C> {
  #first: Waiter<C> | undefined = undefined
  #last: Waiter<C> | undefined = undefined
  length = 0

  push(waiter: Waiter<C>): void {
    waiter.waitList = this
    waiter.waitNext = undefined
    waiter.waitPrevious = this.#last
    if (this.#last) this.#last.waitNext = waiter
    else this.#first = waiter
    this.#last = waiter
    this.length++
  }

  get first(): Waiter<C> | undefined {
    return this.#first
  }

  shift(): Waiter<C> | undefined {
    const first = this.#first
    if (first) this.remove(first)
    return first
  }

  remove(waiter: Waiter<C>): void {
    if (waiter.waitList !== this) return
    if (waiter.waitPrevious) waiter.waitPrevious.waitNext = waiter.waitNext
    else this.#first = waiter.waitNext
    if (waiter.waitNext) waiter.waitNext.waitPrevious = waiter.waitPrevious
    else this.#last = waiter.waitPrevious
    waiter.waitNext = undefined
    waiter.waitPrevious = undefined
    waiter.waitList = undefined
    this.length--
  }
}
