import { definePlugin, duration, z } from 'millrace'
import { SwimDetector } from '../lib/swim/swim-detector.ts'

/**
 * Finds out by itself who is alive, with all the others that do so: SWIM over `context.network`, as the config sync `gossip` does it.
 * Each node asks one other in each period, others ask for it where there is no answer, and a suspect may refute. So one node costs
 * two datagrams a period, however many there are, and a node that only one other cannot hear is not dead.
 */
export default definePlugin({
  api: 1,
  kind: 'failure-detector',
  name: 'swim',
  description: 'Nodes probe each other by SWIM, with suspicion and refutation.',
  options: z.strictObject({
    /** One member is asked in each of these whether it is there; all other times are multiples of it. */
    probe: duration.refine((ms) => ms >= 50 && ms <= 60_000, 'probe is 50ms to 1m').prefault('1s'),
  }),
  create: (context, { probe }) => new SwimDetector(context, probe),
})
