/** What the algorithm of a service may choose from, made anew when availability, config or a ramp has changed. */
import type { Backend, BackendView } from '../contracts/algorithm.ts'
import { forced, health, sumColumn } from '../threads/table.ts'
import type { HttpBackend, ServiceRuntime } from './service-runtime.ts'
import { type Candidate, keepChances, rampAt, rampStepMs, type Shares, sharesOf } from './shares.ts'

/** `BackendState.keepBelow` of a backend that is never passed over: the largest power of two that is a small integer of V8. */
export const keepAlways = 2 ** 30

export class ServiceView implements BackendView {
  /** What its backends are marked with. It refers to nothing: a mark may stay on a backend that outlives this view. */
  readonly mark: object = {}
  readonly all: readonly Backend[]
  readonly available: readonly HttpBackend[]
  /** Healthy, but another zone or tier has their exchanges: for when nobody in `available` can be had. */
  readonly reserve: readonly HttpBackend[]
  readonly panic: boolean
  readonly table: Uint8Array<SharedArrayBuffer> | undefined
  /** Sum of the effective weights. */
  readonly totalWeight: number
  /** When the next step of a ramp is due; Infinity: none. */
  readonly stepAtMs: number
  readonly #inFlight: readonly Int32Array[]
  readonly #isUneven: boolean
  #weighed = false

  /** @param candidates of the backends, which are those with a weight; as are the shares */
  constructor(
    service: ServiceRuntime,
    backends: readonly HttpBackend[],
    candidates: readonly Candidate[],
    shares: Shares,
    stepAtMs: number,
  ) {
    const available: HttpBackend[] = []
    const reserve: HttpBackend[] = []
    let total = 0
    const isUneven = shares.factors.some((factor) => factor > 0 && factor < 1)
    const chances = isUneven
      ? keepChances(
          backends.map(({ weight }) => weight),
          shares.factors,
        )
      : shares.factors
    backends.forEach((backend, index) => {
      const factor = shares.factors[index]
      if (factor > 0) {
        available.push(backend)
        backend.availableIn = this.mark
        backend.effectiveWeight = backend.weight * factor
        backend.keepBelow = Math.ceil(chances[index] * keepAlways)
        total += backend.effectiveWeight
      } else if (candidates[index].healthy) {
        reserve.push(backend)
        backend.reservedIn = this.mark
        backend.effectiveWeight = backend.weight
      }
    })
    this.all = service.backends
    this.available = available
    this.reserve = reserve
    this.panic = shares.panic
    this.table = service.placed.placement.table
    this.totalWeight = total
    this.stepAtMs = stepAtMs
    this.#inFlight = service.table.inFlight
    this.#isUneven = isUneven
  }

  weight(backend: Backend): number {
    this.#weighed = true
    return (backend as HttpBackend).effectiveWeight
  }

  inFlight(backend: Backend): number {
    return sumColumn(this.#inFlight, backend.slot)
  }

  isAvailable(backend: Backend): boolean {
    return (backend as HttpBackend).availableIn === this.mark
  }

  /** Shares differ, and the algorithm has not asked for weights: exclusion has to see to the shares. */
  get thins(): boolean {
    return this.#isUneven && !this.#weighed
  }
}

/** @param isFirst the service begins: nobody in it has come back from anywhere */
export function makeView(service: ServiceRuntime, nowMs: number, isFirst: boolean): ServiceView {
  const { table, config } = service
  const { slowStart } = config
  const backends = service.backends.filter(({ weight }) => weight > 0)
  let ramps = false
  const candidates = backends.map((backend): Candidate => {
    const { slot, weight, zone, priority } = backend
    // Held open by an operator: in panic too, for he knows why.
    const usable = table.drained[slot] === 0 && table.forced[slot] !== forced.open
    const healthy = usable && table.health[slot] !== health.down
    if (!healthy) backend.servesSinceMs = Number.NaN
    else if (Number.isNaN(backend.servesSinceMs))
      backend.servesSinceMs = isFirst ? Number.NEGATIVE_INFINITY : nowMs
    const ramp = healthy && slowStart.windowMs > 0 ? rampAt(nowMs - backend.servesSinceMs, slowStart) : 1
    if (ramp < 1) ramps = true
    return { weight, zone, priority, usable, healthy, ramp }
  })
  for (const backend of service.backends) if (backend.weight === 0) backend.servesSinceMs = Number.NaN
  const ownZone = config.zonePreference ? service.zone : ''
  const shares = sharesOf(candidates, { panicThreshold: config.panicThreshold, ownZone })
  const stepAtMs = ramps ? nowMs + rampStepMs(slowStart.windowMs) : Number.POSITIVE_INFINITY
  return new ServiceView(service, backends, candidates, shares, stepAtMs)
}
