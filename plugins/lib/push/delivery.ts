/** Brings hints to one node, as long as it takes, or until it is not worth it any more. */
import type { Clock, Log, RevisionRef, Timer } from 'millrace'

export interface DeliveryDeps {
  /** For the log. */
  readonly name: string
  readonly clock: Clock
  readonly log: Log
  random(): number
  /** One call. Rejects when nobody knows whether it has arrived. */
  call(document: string, revision: RevisionRef): Promise<void>
  /** Whether the node has dealt with the revision, by its own record; undefined: the record does not say. */
  hasTaken(document: string, revision: RevisionRef): Promise<boolean | undefined>
  /** A call is made again; a node is given up. */
  retried(): void
  gaveUp(): void
}

interface Wanted {
  readonly revision: RevisionRef
  /** Whom to tell whether it has arrived. */
  readonly waiting: ((arrived: boolean) => void)[]
}

const firstRetryMs = 100
const slowestRetryMs = 10_000
/** A node that does not answer for so long is dead, or its record is old. Its own polling is there for it. */
const giveUpMs = 60_000
/** What has arrived is looked for in the node's record after so long, and brought again so often. */
const ackMs = 5000
const bringAgain = 2

export class Delivery {
  readonly #deps: DeliveryDeps
  /** By document: only the last announcement counts. */
  readonly #wanted = new Map<string, Wanted>()
  readonly #acks = new Map<string, Timer>()
  #running = false
  #stopped = false
  #timer: Timer | undefined
  #failures = 0
  #failingSince: number | undefined
  #isGivenUp = false

  constructor(deps: DeliveryDeps) {
    this.#deps = deps
  }

  /** It has not answered for long; it is tried once for each announcement. */
  get isGivenUp(): boolean {
    return this.#isGivenUp
  }

  get pending(): number {
    return this.#wanted.size
  }

  /** Resolves with whether it, or a later one of the document, has arrived. */
  push(document: string, revision: RevisionRef): Promise<boolean> {
    return new Promise((resolve) => {
      const before = this.#wanted.get(document)?.waiting ?? []
      this.#wanted.set(document, { revision, waiting: [...before, resolve] })
      this.#acks.get(document)?.cancel()
      this.#timer?.cancel()
      void this.#run()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    for (const timer of this.#acks.values()) timer.cancel()
    this.#drop()
  }

  async #run(): Promise<void> {
    if (this.#running || this.#stopped) return
    this.#running = true
    try {
      for (let next = this.#first(); next && !this.#stopped; next = this.#first()) {
        const [document, wanted] = next
        await this.#deps.call(document, wanted.revision)
        this.#arrived(document, wanted)
      }
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#running = false
    }
  }

  #first(): [string, Wanted] | undefined {
    return this.#wanted.entries().next().value
  }

  #arrived(document: string, wanted: Wanted): void {
    this.#failures = 0
    this.#failingSince = undefined
    this.#isGivenUp = false
    // Another was announced meanwhile: that one is still to be brought.
    if (this.#wanted.get(document) !== wanted) return
    this.#wanted.delete(document)
    for (const tell of wanted.waiting) tell(true)
    this.#expectAck(document, wanted.revision, 0)
  }

  #failed(error: unknown): void {
    const { clock, log, name, random } = this.#deps
    if (this.#stopped) return
    this.#failingSince ??= clock.now()
    if (this.#isGivenUp || clock.now() - this.#failingSince >= giveUpMs) {
      if (!this.#isGivenUp) log.warn(`push: ${name} is given up: ${(error as Error).message}`)
      this.#isGivenUp = true
      this.#deps.gaveUp()
      this.#drop()
      return
    }
    const ms = Math.min(slowestRetryMs, firstRetryMs * 2 ** Math.min(this.#failures++, 10))
    this.#timer = clock.after(ms * (0.5 + random() / 2), () => {
      this.#deps.retried()
      void this.#run()
    })
  }

  #drop(): void {
    const all = [...this.#wanted.values()]
    this.#wanted.clear()
    for (const { waiting } of all) for (const tell of waiting) tell(false)
  }

  #expectAck(document: string, revision: RevisionRef, again: number): void {
    if (this.#stopped) return
    const timer = this.#deps.clock.after(ackMs, () => void this.#checkAck(document, revision, again))
    this.#acks.get(document)?.cancel()
    this.#acks.set(document, timer)
  }

  async #checkAck(document: string, revision: RevisionRef, again: number): Promise<void> {
    const { log, name } = this.#deps
    this.#acks.delete(document)
    // A store that is away says nothing about the node.
    const taken = await this.#deps.hasTaken(document, revision).catch(() => undefined)
    if (taken !== false || this.#stopped || this.#wanted.has(document) || this.#acks.has(document)) return
    if (again >= bringAgain) {
      log.warn(`push: ${name} was told of revision ${revision.number} of ${document} and has not taken it`)
      return
    }
    this.#deps.retried()
    try {
      await this.#deps.call(document, revision)
      if (!this.#wanted.has(document) && !this.#acks.has(document))
        this.#expectAck(document, revision, again + 1)
    } catch {
      if (!this.#wanted.has(document)) void this.push(document, revision)
    }
  }
}
