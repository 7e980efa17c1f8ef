/** Hints by calls from the announcer to every node, and the proof that this node can be called. */
import {
  type ConfigSync,
  type FleetNode,
  MillraceError,
  type Received,
  type RevisionRef,
  type SyncContext,
} from 'millrace'
import { hasTaken } from './acks.ts'
import { answer, type Call, decodeCall, encodeCall, isYes } from './calls.ts'
import { Delivery } from './delivery.ts'

/** The contract gives an announcement 5 s. */
const announceMs = 4500
const callMs = 2000
/** A callback is two calls. */
const callbackMs = 1500
/** Who appears in the records so soon after an announcement is told of it, too. */
const lateComersMs = 60_000
/** Others that are asked at each heartbeat until one has called back. */
const askedEachBeat = 3
const missedBeats = 3

type Place = Pick<FleetNode, 'id' | 'address'>

export class PushBus implements ConfigSync {
  readonly #context: SyncContext
  readonly #heartbeatMs: number
  /** By id and boot id: a node that was started again is another. */
  readonly #deliveries = new Map<string, Delivery>()
  readonly #latest = new Map<string, { readonly revision: RevisionRef; readonly at: number }>()
  #missed = 0
  #up = false

  constructor(context: SyncContext, heartbeatMs: number) {
    const { network, members, clock } = context
    this.#context = context
    this.#heartbeatMs = heartbeatMs
    context.defer(() => {
      for (const delivery of this.#deliveries.values()) delivery.stop()
    })
    network.onRequest((message) => this.#receive(message))
    members.watch(() => this.#follow())
    clock.after(0, () => this.#beat())
  }

  /**
   * Resolves when every node has it, save those that have not answered for long. The others are called again, also when it
   * rejects.
   */
  async announce(document: string, revision: RevisionRef): Promise<void> {
    const { clock, signal } = this.#context
    if (signal.aborted) throw new MillraceError('MR_NETWORK', 'this node has stopped')
    this.#latest.set(document, { revision, at: clock.now() })
    this.#hint(document, revision)
    const missing = new Set<string>()
    const calls = this.#others().map(async (node) => {
      const delivery = this.#deliveryTo(node)
      const isExpected = !delivery.isGivenUp
      if (isExpected) missing.add(node.id)
      if ((await delivery.push(document, revision)) || !isExpected) missing.delete(node.id)
    })
    await this.#within(announceMs, Promise.all(calls))
    this.#count()
    if (missing.size === 0) return
    const names = [...missing].slice(0, 5).join(', ')
    throw new MillraceError(
      'MR_NETWORK',
      `revision ${revision.number} of ${document}: ${missing.size} of ${calls.length} nodes not reached yet: ${names}`,
    )
  }

  /** Waits no longer than that, and not beyond the stop. */
  #within(ms: number, work: Promise<unknown>): Promise<void> {
    const { clock, signal } = this.#context
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = clock.after(ms, end)
      signal.addEventListener('abort', end)
      void work.then(end)
    })
  }

  async #receive({ from, payload }: Received): Promise<Uint8Array> {
    const call = decodeCall(payload)
    if (call.type === 'hint') this.#hint(call.document, call.revision)
    if (call.type !== 'callback') return answer(!this.#context.signal.aborted)
    const caller = { id: from, address: call.address }
    return answer(await this.#call(caller, { type: 'ring' }, callbackMs).catch(() => false))
  }

  #hint(document: string, revision: RevisionRef): void {
    const { documents, signal } = this.#context
    if (signal.aborted || !documents.some((prefix) => document.startsWith(prefix))) return
    this.#context.hint(document, revision)
  }

  /** Where two nodes advertise one address, whoever is there may answer: only the one that is meant counts. */
  async #call({ id, address }: Place, call: Call, timeoutMs: number): Promise<boolean> {
    const { network, signal } = this.#context
    return isYes(await network.request(address, encodeCall(call), { timeoutMs, signal, node: id }))
  }

  #others(): FleetNode[] {
    const { members } = this.#context
    return members.all().filter(({ id }) => id !== members.self.id)
  }

  #deliveryTo(node: FleetNode): Delivery {
    const { clock, log, random, store, metrics } = this.#context
    const key = keyOf(node)
    const known = this.#deliveries.get(key)
    if (known) return known
    const made = new Delivery({
      ...{ name: `${node.id} at ${node.address}`, clock, log },
      random: () => random(),
      call: async (document, revision) => {
        if (!(await this.#call(node, { type: 'hint', document, revision }, callMs)))
          throw new Error(`${node.address}: it has stopped`)
      },
      hasTaken: (document, revision) => hasTaken(store, node.id, document, revision),
      retried: () => metrics.counter('push_retries', 'Calls that were made again.').add(),
      gaveUp: () => metrics.counter('push_given_up', 'Announcements that a node was not reached with.').add(),
    })
    this.#deliveries.set(key, made)
    return made
  }

  /** Who is in the records has changed. */
  #follow(): void {
    const others = this.#others()
    const there = new Set(others.map(keyOf))
    for (const [key, delivery] of this.#deliveries) {
      if (there.has(key)) continue
      delivery.stop()
      this.#deliveries.delete(key)
    }
    const now = this.#context.clock.now()
    for (const node of others) {
      if (this.#deliveries.has(keyOf(node))) continue
      for (const [document, { revision, at }] of this.#latest)
        if (now - at <= lateComersMs) void this.#deliveryTo(node).push(document, revision)
    }
    this.#count()
  }

  #count(): void {
    let pending = 0
    for (const delivery of this.#deliveries.values()) pending += Number(delivery.pending > 0)
    this.#context.metrics
      .gauge('push_pending', 'Nodes that an announcement is still to be brought to.')
      .set(pending)
  }

  async #beat(): Promise<void> {
    const { clock, random, signal } = this.#context
    const isReached = await this.#isReached()
    if (signal.aborted) return
    this.#missed = isReached ? 0 : this.#missed + 1
    if (isReached) this.#say(true)
    else if (this.#missed >= missedBeats) this.#say(false)
    this.#count()
    clock.after(this.#heartbeatMs * (0.75 + random() / 2), () => this.#beat())
  }

  /** Whether some other node can call this one; where there is no other, this node itself. */
  async #isReached(): Promise<boolean> {
    const { members, random } = this.#context
    const { address } = members.self
    const others = this.#others()
    if (others.length === 0) return this.#call(members.self, { type: 'ring' }, callMs).catch(() => false)
    for (let asked = 0; asked < askedEachBeat && others.length > 0; asked++) {
      const [other] = others.splice(Math.floor(random() * others.length), 1)
      const isHeard = await this.#call(other, { type: 'callback', address }, callMs).catch(() => false)
      if (isHeard) return true
    }
    return false
  }

  #say(up: boolean): void {
    if (up === this.#up || this.#context.signal.aborted) return
    this.#up = up
    this.#context.bus(up ? 'up' : 'down')
  }
}

const keyOf = ({ id, boot, address }: FleetNode): string => JSON.stringify([id, boot, address])
