import { definePlugin, duration, z } from 'millrace'
import { GossipBus } from '../lib/swim/gossip-bus.ts'

const endpoint = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]/@]+):\d{1,5}$/, 'expected host:port, IPv6 in brackets')

/**
 * Hints by word of mouth, with no server in between: SWIM over UDP among the nodes, at `node.advertise`. Each node knows who else is
 * there, finds within seconds who is not, and passes announcements on until all have them. The bus is down while a member is
 * missing that has not said goodbye, for a part of the fleet may be cut off; it is up when all are there. Other nodes are found
 * by their records in the store, and by `seeds`. Messages are proven by `fleetKey`; without it only loopback addresses are taken.
 */
export default definePlugin({
  api: 1,
  kind: 'config-sync',
  name: 'gossip',
  description: 'Hints by gossip (SWIM) among the nodes, without a server.',
  options: z.strictObject({
    /** Nodes to ask at the start, host:port each, beside those of the store's records. */
    seeds: z.array(endpoint).max(100).default([]),
    /** One member is asked in each of these whether it is there; all other times are multiples of it. */
    probe: duration.refine((ms) => ms >= 50 && ms <= 60_000, 'probe is 50ms to 1m').prefault('1s'),
  }),
  create: (context, { seeds, probe }) => new GossipBus(context, { seeds, probeMs: probe }),
})
