/**
 * What an algorithm sees where all is well. Shown to a new instance before it serves: an `update` that throws is then a mistake of
 * the config, which is refused, and not one of every request.
 */
import type { Algorithm, Backend, BackendView } from '../contracts/algorithm.ts'
import type { PluginInstance } from '../host/instance.ts'

export interface TrialService {
  /** Those that it will serve: what an instance keeps for one of them, by object or by slot, is for that one. */
  readonly backends: readonly Backend[]
  readonly table: Uint8Array<SharedArrayBuffer> | undefined
}

class TrialView implements BackendView {
  readonly all: readonly Backend[]
  readonly available: readonly Backend[]
  readonly panic = false
  readonly table: Uint8Array<SharedArrayBuffer> | undefined

  constructor({ backends, table }: TrialService) {
    this.all = backends
    this.available = backends.filter(({ weight }) => weight > 0)
    this.table = table
  }

  weight(backend: Backend): number {
    return backend.weight
  }

  inFlight(): number {
    return 0
  }

  isAvailable(backend: Backend): boolean {
    return backend.weight > 0
  }
}

/** @throws MR_PLUGIN_FAULT */
export function tryUpdate(
  made: Pick<PluginInstance, 'attempt'>,
  algorithm: Algorithm,
  service: TrialService,
): void {
  made.attempt('update', () => algorithm.update(new TrialView(service)))
}
