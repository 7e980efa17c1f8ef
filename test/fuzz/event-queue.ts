/** What happens when, in the order of time: a heap, for simulations of many nodes. */

interface Entry {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

export class EventQueue {
  readonly #heap: Entry[] = []
  #made = 0
  now = 0

  at(at: number, run: () => void): void {
    const entry = { at: Math.max(at, this.now), order: this.#made++, run }
    const heap = this.#heap
    let index = heap.push(entry) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(entry, heap[parent])) break
      heap[index] = heap[parent]
      index = parent
    }
    heap[index] = entry
  }

  /** Until that moment, or until `done`. @returns whether it was done */
  run(until: number, done: () => boolean = () => false): boolean {
    while (!done()) {
      if (this.#heap.length === 0 || this.#heap[0].at > until) {
        this.now = until
        return done()
      }
      const next = this.#pop()
      this.now = next.at
      next.run()
    }
    return true
  }

  #pop(): Entry {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop() as Entry
    if (heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], last)) break
      heap[index] = heap[child]
      index = child
    }
    heap[index] = last
    return first
  }
}
