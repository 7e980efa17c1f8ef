import { definePlugin, z } from 'millrace'
import { Gate } from '../lib/breaker-gate.ts'
import { Windows, windowOptions, windowSettings } from '../lib/failure-window.ts'

/** Opens when the share of failures in a sliding window reaches a threshold. */
export default definePlugin({
  api: 1,
  kind: 'circuit-breaker',
  name: 'error-rate',
  description: 'Opens when the share of failures in a sliding window reaches a threshold.',
  options: z.strictObject(windowOptions),
  create(context, parsed) {
    const settings = windowSettings(parsed)
    const windows = new Windows(context, settings, Gate)
    return {
      for: (backend, changed) => windows.for(backend, changed),
      reconfigure(next: typeof parsed) {
        Object.assign(settings, windowSettings(next))
        windows.changed()
      },
    }
  },
})
