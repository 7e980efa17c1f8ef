/**
 * Smooth weighted round robin: a backend of weight w has a turn every 1/w of virtual time, and the earliest turn is next
 * (earliest deadline first, a binary heap). O(log n) a pick; heavy backends are spread between light ones, and each share
 * is exact to one turn. An excluded backend loses its turn and cannot save turns up, so it returns without a burst.
 */
import type { Backend, PickRequest } from 'millrace'

/** Virtual time at which deadlines are brought back to near 0, long before doubles lose the smallest weights. */
const rebaseAt = 2 ** 30

/** Where between two turns a new backend starts: the golden ratio spreads any number of them evenly. */
const golden = 0.618033988749895

export class Turns {
  private readonly random: () => number
  private backends: readonly Backend[] = []
  private deadline = new Float64Array(0)
  private period = new Float64Array(0)
  /** Indices into `backends`, a binary heap by deadline. */
  private heap = new Int32Array(0)
  private size = 0
  /** Excluded ones of the pick under way. */
  private skipped = new Int32Array(0)
  /** [0] virtual time: the deadline of the last pick. A cell, as a double in a field may be boxed. */
  private readonly time = new Float64Array(1)

  constructor(random: () => number) {
    this.random = random
  }

  /** @param weightOf > 0; only ratios count */
  update(backends: readonly Backend[], weightOf: (backend: Backend) => number): void {
    const waits = this.waits()
    const size = backends.length
    const period = Float64Array.from(backends, (backend) => 1 / weightOf(backend))
    let phase = this.random()
    const deadline = Float64Array.from(backends, (backend, index) => {
      phase = (phase + golden) % 1
      return (waits.get(backend) ?? phase) * period[index]
    })
    this.backends = backends
    this.period = period
    this.deadline = deadline
    this.time[0] = 0
    // A sorted array is a heap.
    this.heap = Int32Array.from(backends.keys()).sort((a, b) => deadline[a] - deadline[b])
    this.size = size
    this.skipped = new Int32Array(size)
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    if (this.size === 0) return undefined
    const index = this.heap[0]
    const backend = this.backends[index]
    if (request.excluded(backend)) return this.pickPast(request)
    this.takeTurn(index)
    return backend
  }

  /** What is left of each backend's wait, in turns: it holds over a change of weight. */
  private waits(): Map<Backend, number> {
    const waits = new Map<Backend, number>()
    for (let index = 0; index < this.backends.length; index++) {
      const wait = (this.deadline[index] - this.time[0]) / this.period[index]
      waits.set(this.backends[index], Math.min(1, Math.max(0, wait)))
    }
    return waits
  }

  /** Advances the root of the heap, which is `index`, to its next turn. */
  private takeTurn(index: number): void {
    const now = this.deadline[index]
    this.time[0] = now
    this.deadline[index] = now + this.period[index]
    this.siftDown()
    if (now > rebaseAt) this.rebase()
  }

  /** The earliest turn of a backend that is not excluded. */
  private pickPast(request: PickRequest): Backend | undefined {
    const { backends, heap, deadline, period } = this
    const skipped = this.skipped
    let count = 0
    let found = -1
    while (this.size > 0 && found < 0) {
      const index = heap[0]
      if (request.excluded(backends[index])) {
        skipped[count++] = index
        heap[0] = heap[--this.size]
        this.siftDown()
      } else found = index
    }
    const lost = found >= 0
    if (lost) this.takeTurn(found)
    for (let i = 0; i < count; i++) {
      const index = skipped[i]
      if (lost) deadline[index] = Math.max(deadline[index], this.time[0]) + period[index]
      this.push(index)
    }
    return lost ? backends[found] : undefined
  }

  private push(index: number): void {
    const { heap, deadline } = this
    let at = this.size++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (deadline[heap[parent]] <= deadline[index]) break
      heap[at] = heap[parent]
      at = parent
    }
    heap[at] = index
  }

  /** Restores the heap after its root has changed. */
  private siftDown(): void {
    const { heap, deadline, size } = this
    const index = heap[0]
    const key = deadline[index]
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && deadline[heap[child + 1]] < deadline[heap[child]]) child++
      if (deadline[heap[child]] >= key) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = index
  }

  private rebase(): void {
    const base = this.time[0]
    for (let index = 0; index < this.deadline.length; index++) this.deadline[index] -= base
    this.time[0] = 0
  }
}
