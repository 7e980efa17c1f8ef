import { definePlugin, duration, z } from 'millrace'
import { type FailureCounts, Gate, type GateSettings, gateBytes, maxPermits } from '../lib/breaker-gate.ts'
import { SharedTime } from '../lib/shared-time.ts'

const options = z.strictObject({
  errors: z
    .number()
    .int()
    .min(1)
    .default(5)
    .describe('Failures in a row, over all threads, that open the breaker'),
  open: duration
    .refine((ms) => ms > 0, 'open must be longer than 0s')
    .prefault('30s')
    .describe('How long it stays open; also when a trial that does not settle is given up'),
  permits: z
    .number()
    .int()
    .min(1)
    .max(maxPermits)
    .default(1)
    .describe('Trials while half-open: so many successes close it, one failure opens it again'),
})
type Options = z.output<typeof options>

interface Settings extends GateSettings {
  errors: number
}

function settingsOf({ errors, open, permits }: Options): Settings {
  return { errors, openMs: open, permits }
}

/** How often the offset of the shared time is taken anew: only drift between the clocks has to be caught. */
const syncMs = 10_000

/** Failures in a row: [0] how many, [1] in which generation. A success writes only where there was a failure. */
class Streak implements FailureCounts {
  private readonly cells: Int32Array
  private readonly settings: Readonly<Settings>

  constructor(cells: Int32Array, settings: Readonly<Settings>) {
    this.cells = cells
    this.settings = settings
  }

  // HOT
  success(_generation: number): boolean {
    if (this.cells[0] !== 0) this.cells[0] = 0
    return false
  }

  failure(generation: number): boolean {
    const { cells } = this
    if (cells[1] !== generation) {
      cells[1] = generation
      cells[0] = 0
    }
    return Atomics.add(cells, 0, 1) + 1 >= this.settings.errors
  }
}

/** Opens after a number of failures in a row. */
export default definePlugin({
  api: 1,
  kind: 'circuit-breaker',
  name: 'consecutive-errors',
  description: 'Opens after a number of failures in a row.',
  options,
  create(context, parsed) {
    const settings = settingsOf(parsed)
    const time = new SharedTime(context.clock)
    context.clock.every(syncMs, () => time.sync())
    return {
      for(backend, changed) {
        const memory = context.shared(backend.id, gateBytes + 8, backend)
        const cells = new Int32Array(memory.buffer, memory.byteOffset, gateBytes / 4)
        const streak = new Int32Array(memory.buffer, memory.byteOffset + gateBytes, 2)
        return new Gate(cells, new Streak(streak, settings), settings, time, changed)
      },
      reconfigure(next: Options) {
        Object.assign(settings, settingsOf(next))
      },
    }
  },
})
