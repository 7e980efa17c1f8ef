import { definePlugin, duration, ratio, z } from 'millrace'
import { Gate, maxPermits } from '../lib/breaker-gate.ts'
import { bucketMsOf, type WindowSettings, Windows } from '../lib/failure-window.ts'

const options = z.strictObject({
  /** What is counted: the last so many seconds, in tenths. */
  window: duration.refine((ms) => ms >= 100, 'window must be at least 100ms').prefault('10s'),
  /** Fewer than these in the window never open the breaker. */
  minRequests: z.number().int().min(1).default(20),
  /** Share of failures in the window that opens it. */
  threshold: ratio.refine((share) => share > 0, 'threshold must be above 0%').prefault('50%'),
  /** How long it stays open; also when a trial that does not settle is given up. */
  open: duration.refine((ms) => ms > 0, 'open must be longer than 0s').prefault('30s'),
  /** Trials while half-open: so many successes close it, one failure opens it again. */
  permits: z.number().int().min(1).max(maxPermits).default(3),
})
type Options = z.output<typeof options>

function settingsOf({ open, permits, minRequests, threshold, window }: Options): WindowSettings {
  return { openMs: open, permits, minRequests, threshold, bucketMs: bucketMsOf(window) }
}

/** Opens when the share of failures in a sliding window reaches a threshold. */
export default definePlugin({
  api: 1,
  kind: 'circuit-breaker',
  name: 'error-rate',
  description: 'Opens when the share of failures in a sliding window reaches a threshold.',
  options,
  create(context, parsed) {
    const settings = settingsOf(parsed)
    const windows = new Windows(context, settings, Gate)
    return {
      for: (backend, changed) => windows.for(backend, changed),
      reconfigure(next: Options) {
        Object.assign(settings, settingsOf(next))
        windows.changed()
      },
    }
  },
})
