import type { Backend, BackendView, PickRequest } from 'millrace'

export interface FakeMember {
  readonly name: string
  readonly weight?: number
}

/** Backends as the host would make them; the object is the identity, so make them once and share them between views. */
export function fakeBackends(members: readonly FakeMember[]): Backend[] {
  return members.map(({ name, weight = 1 }, slot) => ({
    url: `http://${name}`,
    id: `test/http://${name}`,
    weight,
    zone: '',
    tags: [],
    slot,
  }))
}

export function numbered(count: number, weight?: (index: number) => number): Backend[] {
  return fakeBackends(
    Array.from({ length: count }, (_, index) => ({
      name: `10.0.0.${index}:80`,
      weight: weight?.(index) ?? 1,
    })),
  )
}

/** A view with chosen availability, effective weights and in-flight counts. */
export class FakeView implements BackendView {
  readonly all: readonly Backend[]
  readonly available: readonly Backend[]
  readonly panic = false
  readonly table: Uint8Array<SharedArrayBuffer> | undefined
  readonly effective = new Map<Backend, number>()
  readonly load = new Map<Backend, number>()
  private readonly alive: ReadonlySet<Backend>

  constructor(
    all: readonly Backend[],
    available = all.filter(({ weight }) => weight > 0),
    table?: Uint8Array,
  ) {
    this.all = all
    this.available = available
    this.alive = new Set(available)
    if (table) {
      const shared = new Uint8Array(new SharedArrayBuffer(table.byteLength))
      shared.set(table)
      this.table = shared
    }
  }

  weight(backend: Backend): number {
    return this.effective.get(backend) ?? backend.weight
  }

  inFlight(backend: Backend): number {
    return this.load.get(backend) ?? 0
  }

  isAvailable(backend: Backend): boolean {
    return this.alive.has(backend)
  }
}

/** A pick with chosen hash and exclusions; `asked` counts the questions. */
export class FakeRequest implements PickRequest {
  hash = 0
  asked = 0
  readonly out = new Set<Backend>()

  excluded(backend: Backend): boolean {
    this.asked++
    return this.out.has(backend)
  }

  without(...backends: Backend[]): this {
    this.out.clear()
    for (const backend of backends) this.out.add(backend)
    return this
  }
}
