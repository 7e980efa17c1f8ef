/** A backend of a running service: what algorithms see, and its pool of this thread. Kept over snapshots by slot and URL. */
import type { ConnectionOptions } from 'node:tls'
import type { BackendConfig } from '../config/snapshot.ts'
import type { Backend } from '../contracts/algorithm.ts'
import type { BreakerGate } from '../contracts/circuit-breaker.ts'
import type { Pool, PoolConnection } from './pool.ts'
import type { AddressBook } from './resolve.ts'

export class BackendState<C extends PoolConnection> implements Backend {
  readonly id: string
  readonly url: string
  readonly slot: number
  weight: number
  zone: string
  tags: readonly string[]
  priority: number
  config: BackendConfig
  readonly addresses: AddressBook
  pool!: Pool<C>
  /** Its breaker, where the service has one. */
  breaker: BreakerGate | undefined = undefined
  /** The breaker that is asked; none while an operator holds it closed. */
  gate: BreakerGate | undefined = undefined
  /** Mark of the pick under way whose permit its breaker has refused. */
  refusedBy: object | undefined = undefined
  /** Mark of the newest view that this backend is available in. */
  availableIn: object | undefined = undefined
  /** Mark of the newest view that keeps it in reserve: healthy, but another zone or tier has its exchanges. */
  reservedIn: object | undefined = undefined
  /** Weight in the newest view, and how many of 2^30 draws leave it to an algorithm that does not go by weight. (NaN:
   * a double from the start, as shares are; a field that changes its kind gives every backend another hidden class.) */
  effectiveWeight = Number.NaN
  keepBelow = 0
  /** Since when it has been able to take exchanges; NaN while it is not, -Infinity since its service began. */
  servesSinceMs = Number.NaN
  /** Exchanges that one connection may carry at once; drops to 1 when the backend closes pipelined connections. */
  pipelining = 1
  /** Options of `tls.connect`; undefined for plain backends. */
  tls: ConnectionOptions | undefined = undefined
  connectMs = 1000
  /** Closed a connection that carried several exchanges: not pipelined again. */
  refusesPipelining = false

  constructor(service: string, config: BackendConfig, slot: number, addresses: AddressBook) {
    this.id = `${service}/${config.url}`
    this.url = config.url
    this.slot = slot
    this.config = config
    this.weight = config.weight
    this.zone = config.zone
    this.tags = config.tags
    this.priority = config.priority
    this.addresses = addresses
  }

  /** Takes over what a new snapshot says of the same backend. */
  update(config: BackendConfig): void {
    this.config = config
    this.weight = config.weight
    this.zone = config.zone
    this.tags = config.tags
    this.priority = config.priority
  }
}
