import { definePlugin, duration, type Outcome, z } from 'millrace'
import { Gate, type GateSettings } from '../lib/breaker-gate.ts'
import { type WindowSettings, Windows, windowOptions, windowSettings } from '../lib/failure-window.ts'

/** The threshold is the share of slow tries; quick trials close it, a slow one opens it again. */
const options = z.strictObject({
  slow: duration
    .refine((ms) => ms > 0, 'slow must be longer than 0s')
    .prefault('1s')
    .describe('A first byte that comes later than this is slow'),
  ...windowOptions,
})
type Options = z.output<typeof options>

interface Settings extends WindowSettings {
  slowMs: number
}

const settingsOf = (options: Options): Settings => ({ slowMs: options.slow, ...windowSettings(options) })

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
