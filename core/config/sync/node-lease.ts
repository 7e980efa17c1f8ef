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
/** The lease of a process that was killed has lapsed by then: whoever holds the name lives. */
const namesakeMs = 2 * ttlMs

export interface NodeLeaseDeps {
  readonly store: Pick<ConfigStore, 'lease' | 'leases'>
  readonly clock: RawClock
  readonly log: Log
  readonly node: { readonly id: string; readonly boot: string }
  /** Spreads what the nodes of a fleet write, who were started, or lost the store, all at once; default: not. */
  random?(): number
}

export class NodeLease {
  readonly #deps: NodeLeaseDeps
  #lease: Lease | undefined
  #timer: RawTimer | undefined
  #holding: Promise<boolean> | undefined
  #stopped = false
  /** Since when another has held the name. */
  #lostAt: number | undefined
  #warned = false

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
    const { clock, random = () => 0.5 } = this.#deps
    const ms = (held ? renewMs : retryMs) * (0.75 + random() / 2)
    this.#timer = clock.after(ms, () => void this.#step())
  }

  async #hold(): Promise<boolean> {
    const { store, node, log } = this.#deps
    const name = `${nodePrefix}${node.id}`
    try {
      if (this.#lease && (await this.#lease.renew())) return true
      if (this.#stopped) return false
      this.#lease = await store.lease(name, `${node.id}/${node.boot}`, ttlMs)
      if (this.#lease) this.#lostAt = undefined
      else await this.#isHeldByAnother(name)
      return this.#lease !== undefined
    } catch (error) {
      // The engine of the config says that the store is down.
      log.debug(`${name} cannot be held now`, { error })
      return false
    }
  }

  /** By the process before this one, killed; or by a node of the same id, which is a mistake. */
  async #isHeldByAnother(name: string): Promise<void> {
    const { store, node, clock, log } = this.#deps
    if (this.#lostAt === undefined) log.info(`${name} is still held by another process of this id`)
    this.#lostAt ??= clock.now()
    if (this.#warned || clock.now() - this.#lostAt < namesakeMs) return
    // Not asked again at once: a store that gives no leases for a while, after a restart, knows of no holder.
    this.#lostAt = clock.now()
    const other = (await store.leases(name)).find((lease) => lease.name === name)
    if (!other || other.holder === `${node.id}/${node.boot}`) return
    this.#warned = true
    log.warn(
      `another process has the node id ${node.id} too: ${other.holder} holds the lease ${name}; expected one of each id (node.id)`,
    )
  }
}
