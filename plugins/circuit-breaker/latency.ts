import { definePlugin, duration, type Outcome, ratio, z } from 'millrace'
import { Gate, type GateSettings, maxPermits } from '../lib/breaker-gate.ts'
import { bucketMsOf, type WindowSettings, Windows } from '../lib/failure-window.ts'

const options = z.strictObject({
  /** A first byte that comes later than this is slow. */
  slow: duration.refine((ms) => ms > 0, 'slow must be longer than 0s').prefault('1s'),
  /** What is counted: the last so many seconds, in tenths. */
  window: duration.refine((ms) => ms >= 100, 'window must be at least 100ms').prefault('10s'),
  /** Fewer than these in the window never open the breaker. */
  minRequests: z.number().int().min(1).default(20),
  /** Share of slow tries in the window that opens it. */
  threshold: ratio.refine((share) => share > 0, 'threshold must be above 0%').prefault('50%'),
  /** How long it stays open; also when a trial that does not settle is given up. */
  open: duration.refine((ms) => ms > 0, 'open must be longer than 0s').prefault('30s'),
  /** Trials while half-open: so many quick ones close it, one slow one opens it again. */
  permits: z.number().int().min(1).max(maxPermits).default(3),
})
type Options = z.output<typeof options>

interface Settings extends WindowSettings {
  slowMs: number
}

function settingsOf({ slow, open, permits, minRequests, threshold, window }: Options): Settings {
  return { slowMs: slow, openMs: open, permits, minRequests, threshold, bucketMs: bucketMsOf(window) }
}

/** A slow try counts as a failed one. So does one that failed: a backend that refuses at once must not pass for a quick one. */
class SlowGate extends Gate {
  private readonly slow: Readonly<Settings>

  constructor(...parts: ConstructorParameters<typeof Gate>) {
    super(...parts)
    this.slow = parts[2] as GateSettings & Settings
  }

  // HOT
  override settle(token: number, outcome: Outcome, ms: number): void {
    super.settle(token, outcome === 'success' && ms > this.slow.slowMs ? 'failure' : outcome, ms)
  }
}

/** Opens when the share of slow tries in a sliding window reaches a threshold (slow-call rate, as Resilience4j names it). */
export default definePlugin({
  api: 1,
  kind: 'circuit-breaker',
  name: 'latency',
  description: 'Opens when the share of slow tries in a sliding window reaches a threshold.',
  options,
  create(context, parsed) {
    const settings = settingsOf(parsed)
    const windows = new Windows(context, settings, SlowGate)
    return {
      for: (backend, changed) => windows.for(backend, changed),
      reconfigure(next: Options) {
        Object.assign(settings, settingsOf(next))
        windows.changed()
      },
    }
  },
})
