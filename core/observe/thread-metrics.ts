/**
 * Counters and histograms of the data threads: one row of shared cells per thread, written with plain stores by that
 * thread alone and summed by the main thread when somebody asks. A thread's successor attaches the same row and counts on,
 * so counters survive it.
 */
import type { ExchangeOutcome } from '../contracts/filter.ts'
import { type ErrorCode, errorTable } from '../host/errors.ts'
import { histogramCells, recordLatency } from './latency-histogram.ts'
import { pluginRowBytes } from './plugin-metrics.ts'

export interface MetricsShape {
  readonly threads: number
  /** As in the shared table. */
  readonly slots: number
  readonly services: number
}

/** What is handed to a worker. */
export interface MetricsBuffers {
  readonly shape: MetricsShape
  readonly memory: SharedArrayBuffer
  /** Rows of `plugin-metrics.ts`: one per thread and one for the main thread. */
  readonly plugins: SharedArrayBuffer
}

/** Index → outcome of `requestDone`. */
export const exchangeOutcomes = [
  'ok',
  'client-abort',
  'backend-abort',
  'error',
  'timeout',
  'tunnel',
] as const satisfies readonly ExchangeOutcome[]

/** Outcome → index, for callers of `requestDone`. */
export const outcomeIndex: Readonly<Record<ExchangeOutcome, number>> = {
  ok: 0,
  'client-abort': 1,
  'backend-abort': 2,
  error: 3,
  timeout: 4,
  tunnel: 5,
}

/** Index → outcome of `backendDone`. */
export const attemptOutcomes = ['success', 'failure', 'cancelled'] as const

/** Index → code of `rejected`. */
export const errorCodes = Object.keys(errorTable) as readonly ErrorCode[]

/** Code → index, for callers of `rejected`. */
export const errorIndex = Object.fromEntries(errorCodes.map((code, index) => [code, index])) as Readonly<
  Record<ErrorCode, number>
>

/** Index → status class; 0 where no answer was begun. */
export const statusClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

/** Pads a row to whole cache lines: rows of different threads never share one. */
const padded = (cells: number): number => (cells + 7) & ~7

/** Cells of one service. */
export const serviceLayout = {
  /** [status class][outcome] */
  requests: 0,
  retries: statusClasses.length * exchangeOutcomes.length,
  fallbacks: statusClasses.length * exchangeOutcomes.length + 1,
  request: 40,
  upstream: 40 + histogramCells,
  overhead: 40 + histogramCells * 2,
  stride: 40 + histogramCells * 3,
} as const

/** Cells of one backend slot. */
export const backendLayout = { attempts: 0, opened: 3, connectErrors: 4, stride: 5 } as const

/** Cells of the thread itself. */
export const threadLayout = {
  bytesIn: 0,
  bytesOut: 1,
  tunnels: 2,
  pluginFaults: 3,
  stalls: 4,
  stallMs: 5,
  clients: 6,
  rejected: 8,
  stride: padded(8 + Object.keys(errorTable).length),
} as const

const tunnelOutcome = outcomeIndex.tunnel

function rowCells(shape: MetricsShape): number {
  // One service more than the table has: row 0 is for requests that reached no service.
  const services = (shape.services + 1) * serviceLayout.stride
  return padded(threadLayout.stride + services + shape.slots * backendLayout.stride)
}

export class ThreadMetrics {
  readonly buffers: MetricsBuffers
  /** All cells of this thread: its own, then those of services, then those of backends. */
  readonly cells: Float64Array
  readonly #services: number
  readonly #backends: number

  private constructor(buffers: MetricsBuffers, thread: number) {
    const cells = rowCells(buffers.shape)
    this.buffers = buffers
    this.cells = new Float64Array(buffers.memory, thread * cells * 8, cells)
    // Service -1 is the row before service 0.
    this.#services = threadLayout.stride + serviceLayout.stride
    this.#backends = threadLayout.stride + (buffers.shape.services + 1) * serviceLayout.stride
  }

  static create(shape: MetricsShape): MetricsBuffers {
    // Untouched pages of a fresh SharedArrayBuffer cost address space, not memory.
    return {
      shape,
      memory: new SharedArrayBuffer(rowCells(shape) * 8 * shape.threads),
      plugins: new SharedArrayBuffer(pluginRowBytes * (shape.threads + 1)),
    }
  }

  static attach(buffers: MetricsBuffers, thread: number): ThreadMetrics {
    return new ThreadMetrics(buffers, thread)
  }

  /** Where the cells of a service begin; -1 for requests that reached no service. */
  serviceOffset(service: number): number {
    return this.#services + service * serviceLayout.stride
  }

  /** Where the cells of a backend begin. */
  backendOffset(slot: number): number {
    return this.#backends + slot * backendLayout.stride
  }

  // HOT: all that follows. Nothing is allocated; where V8 does not inline a call, it boxes a fractional argument (16 bytes).

  /**
   * An exchange has ended.
   * @param service index in the shared table, -1 where none was reached
   * @param status sent to the client, 0 where none was
   * @param outcome `outcomeIndex[…]`; the time of a tunnel is not put into the histogram
   */
  requestDone(service: number, status: number, durationMs: number, outcome: number): void {
    const offset = this.#services + service * serviceLayout.stride
    const statusClass = status >= 100 && status < 600 ? (status / 100) | 0 : 0
    this.cells[offset + statusClass * 6 + outcome] += 1
    if (outcome !== tunnelOutcome) recordLatency(this.cells, offset + serviceLayout.request, durationMs)
  }

  /** First request byte written → first response byte read. */
  upstreamTime(service: number, ms: number): void {
    recordLatency(this.cells, this.#services + service * serviceLayout.stride + serviceLayout.upstream, ms)
  }

  /** Last head byte read → first upstream write, plus first response byte read → first client write. */
  overhead(service: number, ms: number): void {
    recordLatency(this.cells, this.#services + service * serviceLayout.stride + serviceLayout.overhead, ms)
  }

  fallback(service: number): void {
    this.cells[this.#services + service * serviceLayout.stride + serviceLayout.fallbacks] += 1
  }

  retry(service: number): void {
    this.cells[this.#services + service * serviceLayout.stride + serviceLayout.retries] += 1
  }

  /** A try has ended: 0 success, 1 failure, 2 cancelled. */
  backendDone(slot: number, outcome: number): void {
    this.cells[this.#backends + slot * backendLayout.stride + outcome] += 1
  }

  /** An upstream connection was opened. */
  connectionOpened(slot: number): void {
    this.cells[this.#backends + slot * backendLayout.stride + backendLayout.opened] += 1
  }

  /** An upstream connection could not be opened. */
  connectError(slot: number): void {
    this.cells[this.#backends + slot * backendLayout.stride + backendLayout.connectErrors] += 1
  }

  /** An error answer of our own, or a connection refused: `errorIndex[code]`. */
  rejected(codeIndex: number): void {
    this.cells[threadLayout.rejected + codeIndex] += 1
  }

  /** Bytes read from and written to clients. */
  clientBytes(bytesIn: number, bytesOut: number): void {
    this.cells[threadLayout.bytesIn] += bytesIn
    this.cells[threadLayout.bytesOut] += bytesOut
  }

  /** A client connection was accepted. */
  clientAccepted(): void {
    this.cells[threadLayout.clients] += 1
  }

  /** A tunnel began (1) or ended (-1). */
  tunnel(delta: number): void {
    this.cells[threadLayout.tunnels] += delta
  }

  /** A plugin threw, or picked what it must not. */
  pluginFault(): void {
    this.cells[threadLayout.pluginFaults] += 1
  }

  /** The event loop stood still for so long. */
  stall(ms: number): void {
    this.cells[threadLayout.stalls] += 1
    this.cells[threadLayout.stallMs] += ms
  }
}
