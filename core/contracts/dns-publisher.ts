/**
 * Kind `dns-publisher`: makes a DNS elsewhere (a provider's, a zone updated by RFC 2136, a file) say which LB servers there are. One
 * instance per process, on the main thread of an orchestrator; only the leader calls it, after it has committed an intent.
 *
 * The caller gives the *whole* of what a name is to hold; the plugin makes it so, whatever was there. So calls are idempotent and an
 * unknown outcome is settled by calling again. Names that are not given are not touched: a zone has other tenants. Of the
 * names of the plugin's options (its zone) only.
 *
 * Resolved means that the authority has the records, and on all its servers where the plugin can see them; resolvers may answer the
 * former ones for the former TTL. So a server is drained only after `publish` has resolved *and* that time has passed.
 */
import type { FencingToken } from './config-store.ts'
import type { ProcessContext } from './process.ts'

export interface RecordSet {
  /** Fully qualified, lower case, without the last dot. */
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'CNAME' | 'SRV' | 'TXT'
  /** Seconds, ≥ 0. */
  readonly ttl: number
  /** In presentation format (RFC 1035 §5.1): `192.0.2.1`, `10 5 80 lb-1.example.com`. Order means nothing. Empty: no such
   * records. */
  readonly values: readonly string[]
}

export interface PublishOptions {
  /** Where the authority can compare (a TXT beside, a prerequisite of the update), an older term is refused with `MR_FENCED`. */
  readonly term: FencingToken
  readonly signal: AbortSignal
}

export interface DnsPublisher {
  /**
   * Makes the names hold exactly these records. Sets of one name are changed together where the protocol can; what cannot be
   * changed together never leaves a name without any record in between, if it had some before and is to have some after.
   *
   * @throws MR_DNS_REFUSED (not this zone, no permission, an invalid record: nothing was changed, trying again does not help);
   *   anything else: not known, call again
   */
  publish(sets: readonly RecordSet[], options: PublishOptions): Promise<void>
  /** What the authority holds for the names now, all types of {@link RecordSet}, sorted by name and type. For drift, and for a
   * new leader. */
  read(names: readonly string[], signal: AbortSignal): Promise<readonly RecordSet[]>
}

export type DnsPublisherContext = ProcessContext
