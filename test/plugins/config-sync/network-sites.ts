/** Fleets of the conformance kit on a simulated network, for plugins whose bus is `context.network`. */
import { type FleetNode, MillraceError, type Network } from 'millrace'
import { FakeTime, type SyncSite } from 'millrace/conformance'
import { Hub } from '../../conformance/hub.ts'
import { seeded } from '../../conformance/time.ts'

type Fault = 'none' | 'lose' | 'double' | 'reorder'

/** As the kit names its nodes. */
const nodeOf = (index: number): FleetNode => ({
  id: `lb-${index}`,
  boot: `boot-${index}`,
  role: 'lb',
  address: `10.0.0.${index}:9901`,
  zone: '',
})

export function networkSites(options: object): () => SyncSite {
  return () => {
    const time = new FakeTime()
    const hub = new Hub(time)
    const random = seeded(7)
    const nodes = new Set<FleetNode>()
    let fault: Fault = 'none'
    return {
      options,
      time,
      context: (index) => {
        const node = nodeOf(index)
        nodes.add(node)
        return { network: faulty(hub.network(node), () => fault, time, random) }
      },
      cut: () => {
        for (const { address } of nodes) hub.cut(address)
      },
      heal: () => {
        for (const { address } of nodes) hub.heal(address)
      },
      fault: (next) => {
        fault = next
      },
    }
  }
}

/** Half of all is lost, or comes twice, or up to half a second late. */
function faulty(network: Network, fault: () => Fault, time: FakeTime, random: () => number): Network {
  const later = (run: () => void): void => void time.clock().after(random() * 500, run)
  return {
    ...network,
    send: async (address, payload) => {
      if (fault() === 'lose' && random() < 0.5) return
      if (fault() === 'reorder') later(() => void network.send(address, payload))
      else await network.send(address, payload)
      if (fault() === 'double') await network.send(address, payload)
    },
    request: async (address, payload, given) => {
      if (fault() === 'lose' && random() < 0.5) throw new MillraceError('MR_NETWORK', `${address}: lost`)
      if (fault() === 'reorder') await new Promise<void>(later)
      if (fault() === 'double') await network.request(address, payload, given).catch(() => {})
      return network.request(address, payload, given)
    },
  }
}
