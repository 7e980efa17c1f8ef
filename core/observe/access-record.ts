/** What the access log says about one exchange. Cloneable data: data threads send it to the main thread, which writes. */
import type { ExchangeOutcome } from '../contracts/filter.ts'

export interface AccessRecord {
  /** When the request began; wall-clock milliseconds since the Unix epoch. */
  readonly time: number
  /** Request id. */
  readonly id: string
  readonly listener: string
  /** Empty where none matched. */
  readonly route: string
  readonly service: string
  /** URL of the backend of the last try; empty where none was asked. */
  readonly backend: string
  readonly attempts: number
  readonly method: string
  readonly host: string
  /** As it stood in the request line. */
  readonly target: string
  /** Sent to the client; 0 when no answer was begun. */
  readonly status: number
  /** Body bytes from and to the client. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  /** First request byte written to the backend → first response byte read; NaN when none came. */
  readonly upstreamMs: number
  /** What the proxy itself added, as `millrace_overhead_seconds`; NaN when nothing was forwarded. */
  readonly overheadMs: number
  readonly outcome: ExchangeOutcome
  /** `MR_…` of our own error answer, else empty. */
  readonly errorCode: string
  readonly clientAddress: string
}
