/** The sums over threads of what `thread-metrics.ts` counts, and the clearing of cells that change their owner. On the main
 * thread. */
import { LatencySummary } from './latency-histogram.ts'
import {
  backendLayout,
  type MetricsBuffers,
  serviceLayout,
  ThreadMetrics,
  threadLayout,
} from './thread-metrics.ts'

export class MetricsReader {
  readonly threads: readonly ThreadMetrics[]

  constructor(buffers: MetricsBuffers) {
    this.threads = Array.from({ length: buffers.shape.threads }, (_, thread) =>
      ThreadMetrics.attach(buffers, thread),
    )
  }

  /** @param cell of `threadLayout` */
  total(cell: number): number {
    return this.#sum(() => cell)
  }

  /** @param cell of `serviceLayout` */
  service(index: number, cell: number): number {
    return this.#sum((thread) => thread.serviceOffset(index) + cell)
  }

  /** @param cell of `backendLayout` */
  backend(slot: number, cell: number): number {
    return this.#sum((thread) => thread.backendOffset(slot) + cell)
  }

  /** @param cell where the histogram begins: `request`, `upstream` or `overhead` of `serviceLayout` */
  latency(index: number, cell: number): LatencySummary {
    const summary = new LatencySummary()
    for (const thread of this.threads) summary.add(thread.cells, thread.serviceOffset(index) + cell)
    return summary
  }

  /** A thread has died: what it held open is gone. Its counters stay, its successor counts on. */
  clearThread(thread: number): void {
    this.threads[thread].cells[threadLayout.tunnels] = 0
  }

  /** The index of a service was given to another one. */
  clearService(index: number): void {
    for (const thread of this.threads) {
      const offset = thread.serviceOffset(index)
      thread.cells.fill(0, offset, offset + serviceLayout.stride)
    }
  }

  /** The slot of a backend was given to another one. */
  clearBackend(slot: number): void {
    for (const thread of this.threads) {
      const offset = thread.backendOffset(slot)
      thread.cells.fill(0, offset, offset + backendLayout.stride)
    }
  }

  #sum(cellOf: (thread: ThreadMetrics) => number): number {
    let sum = 0
    for (const thread of this.threads) sum += thread.cells[cellOf(thread)]
    return sum
  }
}
