import type { Backend, PickRequest } from 'millrace'

export { type FakeMember, FakeView, fakeBackends, numbered } from '../../bench/fixtures/view.ts'

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
