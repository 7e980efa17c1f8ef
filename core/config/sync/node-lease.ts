/** Says that this node lives: a lease of the name of its record, `node/<id>`. Nothing depends on it here; those who look at the
 * fleet see by it who is gone. */
import type { ConfigStore, Lease } from '../../contracts/config-store.ts'
import type { Log } from '../../contracts/plugin.ts'
import type { RawClock, RawTimer } from '../../host/clock.ts'

export const nodePrefix = 'node/'

/** Seen as gone this long after its death. */
const ttlMs = 15_000
const renewMs = 5000
const retryMs = 1000
const mostReleaseMs = 500

export interface NodeLeaseDeps {
  readonly store: Pick<ConfigStore, 'lease'>
  readonly clock: RawClock
  readonly log: Log
  readonly node: { readonly id: string; readonly boot: string }
}

export class NodeLease {
  readonly #deps: NodeLeaseDeps
  #lease: Lease | undefined
  #timer: RawTimer | undefined
  #holding: Promise<boolean> | undefined
  #stopped = false
  #told = false

  constructor(deps: NodeLeaseDeps) {
    this.#deps = deps
  }

  start(): void {
    void this.#step()
  }

  /** Gives the name free, so that an orderly end is seen at once; a store that does not answer delays nobody. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    let timer: RawTimer | undefined
    const late = new Promise<void>((resolve) => {
      timer = this.#deps.clock.after(mostReleaseMs, resolve)
    })
    await Promise.race([this.#release(), late])
    timer?.cancel()
  }

  /** What is being taken now is given back when it is there, be it late. */
  async #release(): Promise<void> {
    await this.#holding
    if (this.#lease?.valid()) await this.#lease.release()
  }

  async #step(): Promise<void> {
    this.#holding = this.#hold()
    const held = await this.#holding
    if (this.#stopped) return
    this.#timer = this.#deps.clock.after(held ? renewMs : retryMs, () => void this.#step())
  }

  async #hold(): Promise<boolean> {
    const { store, node, log } = this.#deps
    const name = `${nodePrefix}${node.id}`
    try {
      if (this.#lease && (await this.#lease.renew())) return true
      if (this.#stopped) return false
      this.#lease = await store.lease(name, `${node.id}/${node.boot}`, ttlMs)
      // The process before this one, killed; or a node of the same id, which is a mistake.
      if (!this.#lease && !this.#told) log.info(`${name} is still held by another process of this id`)
      this.#told = !this.#lease
      return this.#lease !== undefined
    } catch (error) {
      // The engine of the config says that the store is down.
      log.debug(`${name} cannot be held now`, { error })
      return false
    }
  }
}
