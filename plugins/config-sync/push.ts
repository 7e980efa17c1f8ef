import { definePlugin, duration, z } from 'millrace'
import { PushBus } from '../lib/push/push-bus.ts'

/**
 * Hints by a call: whoever announces calls every node of the store's records at its `node.advertise`, and calls again, later each time,
 * whom it does not reach. The bus of a node is up while another node, asked now and then, can call it; the last node calls itself.
 * There is nothing in between and nothing to install; an announcement costs as many calls as there are nodes. Messages are proven by
 * `fleetKey`; without it only loopback addresses are taken.
 */
export default definePlugin({
  api: 1,
  kind: 'config-sync',
  name: 'push',
  description: 'Hints by a call from the announcer to every node.',
  options: z.strictObject({
    /** How often a node finds out whether it can be called; after three failures its bus is down. */
    heartbeat: duration.refine((ms) => ms >= 100 && ms <= 300_000, 'heartbeat is 100ms to 5m').prefault('5s'),
  }),
  create: (context, { heartbeat }) => new PushBus(context, heartbeat),
})
