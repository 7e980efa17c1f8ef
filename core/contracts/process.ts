/**
 * What plugins of the process kinds are given beside {@link PluginContext}. They run on the main thread of an LB server, or in
 * an orchestrator or a DNS server: one instance per use and process. None of their calls may block the event loop for longer
 * than 10 ms; what has to (a synchronous database) goes to a thread of its own.
 *
 * Time, chance, network and store are always these, never the platform's, so that a fleet can be simulated from a seed. A driver
 * that opens its own connections (a database client) is the exception, and is then tested on the real thing.
 *
 * What the plugin's code throws outside of any call (in a raw timer, an event handler, a rejection that nobody handles) is attributed by
 * its stack, or by who has begun it, and nobody knows in what state it left the instance: that is stopped, and another is made after a
 * pause, which doubles up to 30 s while it goes on. Meanwhile calls fail as those of a server that is away.
 */
import type { ConfigStore } from './config-store.ts'
import type { PluginContext, Timer } from './plugin.ts'

/** A member of the fleet, from its durable record. Liveness is another matter: see `failure-detector` and leases. */
export interface FleetNode {
  /** `node.id`, unique in the fleet. */
  readonly id: string
  /** Random, of this start of the process: a restarted node has the same id and another boot id. */
  readonly boot: string
  readonly role: 'lb' | 'orchestrator' | 'dns'
  /** `host:port` where the other nodes reach it; IPv6 in brackets. */
  readonly address: string
  readonly zone: string
}

/** Who is in the fleet, as far as this node knows. Without a store: this node alone. */
export interface Members {
  readonly self: FleetNode
  /** All records, this node's included, sorted by id; without those of LB servers that were gone for ten minutes. The same array until
   * something changes. */
  all(): readonly FleetNode[]
  /** Calls `changed` after each change of {@link all}, coalesced, until the timer is cancelled or the instance stops. */
  watch(changed: () => void): Timer
}

/** A message as its receiver gets it. */
export interface Received {
  /** Id and boot id of the sender, proven by the envelope. */
  readonly from: string
  readonly boot: string
  /** `host:port` it came from. */
  readonly address: string
  readonly payload: Uint8Array
}

/**
 * Messages between the nodes of a fleet. The core puts each payload into an envelope: HMAC over fleet, kind and name of the plugin,
 * sender, boot id and a counter, made with `fleetKey` (without one: a checksum). What does not prove itself, was
 * seen before, or is of another fleet, is dropped and counted, and no plugin sees it. So a message arrives unchanged,
 * from whom it says, at most once; or late, or out of order, or not at all. Without a key nothing goes to, or is taken at, an
 * address that is not a loopback address: `MR_NETWORK`.
 *
 * Plugins hear only instances of their own kind and name.
 */
export interface Network {
  /**
   * One datagram (UDP, at `node.advertise`). Resolves when it was handed to the system, which says nothing of its arrival.
   * At most 1,200 bytes of payload.
   * @throws MR_NETWORK when it cannot be sent: too long, no such address
   */
  send(address: string, payload: Uint8Array): Promise<void>
  /** Datagrams to this plugin. One handler; a second replaces the first. Its throws are logged, attributed. */
  onMessage(handle: (message: Received) => void): void
  /**
   * Asks another node and waits for its answer (a stream, 1 MiB at most each way).
   * @param options `node`: id of the node that is meant; without it whoever is there may answer
   * @throws MR_NETWORK: not reached, no answer in time, another node than the one that is meant answers, no handler there, or the
   *   handler threw. Whether the other side has acted is then not known
   */
  request(
    address: string,
    payload: Uint8Array,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal; readonly node?: string },
  ): Promise<Uint8Array>
  /** Answers the requests to this plugin. One handler; a second replaces the first. */
  onRequest(handle: (message: Received) => Uint8Array | PromiseLike<Uint8Array>): void
}

export interface ProcessContext extends PluginContext {
  /** The fleet's store; undefined where there is none (`store:` absent). Its faults are the plugin's to handle. */
  readonly store: ConfigStore | undefined
  readonly network: Network
  readonly members: Members
}
