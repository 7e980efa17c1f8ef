/** Kind `algorithm`: chooses a backend for each try of an exchange. Runs on every data thread; DNS and the
 * orchestrator host the same plugins, so nothing in here is HTTP. */
import type { Outcome } from './circuit-breaker.ts'

/** One server of a service as the config names it. */
export interface Member {
  readonly url: string
  /** Configured weight, integer ≥ 0. 0 takes no new exchanges. */
  readonly weight: number
  readonly zone: string
  readonly tags: readonly string[]
}

/**
 * A backend of the running service. Its identity is service + URL: the object stays the same one over reloads while
 * the URL stays (a weight edit keeps it), so it can be a `Map` key; all views of one thread hold the same objects.
 */
export interface Backend extends Member {
  /** `service/url`. */
  readonly id: string
  /** Index in the shared table; reused only after every thread has let go of it. */
  readonly slot: number
}

/** What an algorithm may choose from. Immutable; a new one is given at each change. */
export interface BackendView {
  /** Every backend of the service, in config order. */
  readonly all: readonly Backend[]
  /**
   * Those that may be picked now: healthy, not drained, weight > 0, and of a priority tier and zone that is to get
   * exchanges; in panic, all with weight > 0. In config order.
   */
  readonly available: readonly Backend[]
  /** True when too few were healthy (`panicThreshold`) and `available` therefore holds the unhealthy too. */
  readonly panic: boolean
  /**
   * Effective weight, > 0 for every available backend: the configured one, scaled by slow start and by the share that the
   * backend's tier and zone are to get. Fractions occur; only ratios count. It holds for this view: while a backend
   * ramps up, a new one comes every second or so. An algorithm that never asks for weights gets its shares by
   * exclusion: `excluded` then passes backends over that are to get less than others. That is exact where no pick depends
   * on those before; one that goes round with a cursor should ask, and give those of a smaller `weight(b) / b.weight` fewer turns.
   */
  weight(backend: Backend): number
  /** Exchanges in flight on the backend, over all threads of this process. Costs one load per thread. */
  inFlight(backend: Backend): number
  /** True when the backend is in `available`. O(1). */
  isAvailable(backend: Backend): boolean
  /** What `buildTable` made over `all`, if the plugin has one. */
  readonly table: Uint8Array<SharedArrayBuffer> | undefined
}

/** One pick. The object is reused: do not keep it. */
export interface PickRequest {
  /** Unsigned 32-bit hash of the service's `key`; computed at the first read. */
  readonly hash: number
  /**
   * True for backends that must not be picked for this try: already tried, refused by their breaker, at their
   * connection limit, over the load bound, or passed over (see {@link BackendView.weight}). The answer stays the same within
   * a pick, if `hash` is read before the first question or not at all. When all are excluded return undefined: the host asks
   * once more without the load bound and without passing over, then turns to other zones and lower tiers by itself.
   */
  excluded(backend: Backend): boolean
}

/**
 * An instance of an algorithm.
 *
 * `pick` is on the hot path: it is synchronous, must not allocate, and should be O(1) or O(log n). The host enforces the
 * contract: a pick that is unavailable or excluded while another backend is left is replaced by one that is not, and
 * counted as a fault of the plugin.
 */
export interface Algorithm {
  /** Called before the first pick and after each change of membership, weight or availability; changes that come
   * together are coalesced into one call. State that is keyed by `Backend` survives. A new instance is first shown its backends as
   * if all were well, before it serves: when that call throws, the config is refused. */
  update(view: BackendView): void
  /** Returns an available backend that is not excluded, or undefined when there is none. */
  pick(request: PickRequest): Backend | undefined
  /**
   * Called once for each pick that led to a try, when the try has ended.
   * @param firstByteMs time from the first request byte written to the first response byte; NaN when none came
   */
  settled?(backend: Backend, outcome: Outcome, firstByteMs: number): void
  /** New options for the same instance. Absent: the instance is made anew on the same shared memory. */
  reconfigure?(options: never): void
}
