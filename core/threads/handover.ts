/**
 * Puts a fresh thread in the place of one that serves: its successor takes the config and listens beside it, then it closes its
 * listeners, says `Connection: close` for a while, closes what is idle by then, finishes what is in flight and ends.
 *
 * For threads that have loaded many versions of plugin code: a module, once imported, stays in memory as long as its thread.
 */
import type { Clock, Log } from '../contracts/plugin.ts'
import { ThreadDrain } from './drain-threads.ts'
import type { FromThread } from './messages.ts'
import type { Supervisor } from './supervise.ts'
import type { ThreadLink } from './thread-link.ts'

/** So many versions of plugin code, then a thread is replaced. */
export const longestHistory = 200
const startMs = 15_000
/** How long clients are told to come back over another connection, before those that wait idle are closed. */
const usualClosingMs = 5_000

export interface HandoverDeps {
  readonly clock: Clock
  readonly log: Log
  readonly supervisor: Supervisor
  readonly longestHistory: number
  /** How long clients are told to come back over another connection; default 5 s. */
  readonly closingMs?: number
  /** Brings what is served to the new thread, while nothing else is being applied. False: it could not. */
  bring(next: ThreadLink): Promise<boolean>
  /** For what is in flight on the old one. */
  timeoutMs(): number
}

export class Handover {
  readonly #deps: HandoverDeps
  /** The old thread that leaves now. */
  #leaving: { readonly link: ThreadLink; readonly drain: ThreadDrain } | undefined
  #busy = false
  #left: Promise<void> = Promise.resolve()

  constructor(deps: HandoverDeps) {
    this.#deps = deps
  }

  /** One of the threads that have loaded too much; undefined while another is being replaced. */
  due(): ThreadLink | undefined {
    if (this.#busy) return undefined
    return this.#deps.supervisor.online().find((link) => link.modules >= this.#deps.longestHistory)
  }

  /** Call it in the queue of changes. Settles when the successor serves; the old thread leaves beside. */
  async replace(old: ThreadLink): Promise<void> {
    if (this.#busy || !old.alive) return
    this.#busy = true
    const { supervisor, log } = this.#deps
    const next = await supervisor.startBeside(old.thread, startMs)
    const brought = next !== undefined && (await this.#deps.bring(next))
    if (!next || !brought || !supervisor.takeSeat(next, old)) {
      log.warn('a data thread that has loaded much plugin code could not be replaced', { thread: old.thread })
      if (next) await supervisor.end(next)
      this.#busy = false
      return
    }
    supervisor.serving(next)
    const fields = { thread: old.thread, modules: old.modules }
    log.info('a data thread that has loaded much plugin code is replaced by a fresh one', fields)
    this.#left = this.#leave(old)
  }

  /** Settles when the thread that leaves has ended. */
  left(): Promise<void> {
    return this.#left
  }

  receive(link: ThreadLink, message: FromThread): void {
    if (this.#leaving?.link === link) this.#leaving.drain.receive(link, message)
  }

  async #leave(old: ThreadLink): Promise<void> {
    const { closingMs = usualClosingMs } = this.#deps
    const drain = new ThreadDrain([old])
    this.#leaving = { link: old, drain }
    old.send({ type: 'drain' })
    // One that hangs in plugin code answers nothing, and would keep its share of the connections.
    await this.#atMost(startMs, drain.closeListeners(closingMs))
    await this.#atMost(closingMs + this.#deps.timeoutMs(), drain.quiet())
    await this.#deps.supervisor.end(old)
    this.#leaving = undefined
    // Of several threads that are due, each has its turn after the next change.
    this.#busy = false
  }

  async #atMost(ms: number, over: Promise<unknown>): Promise<void> {
    const time = Promise.withResolvers<void>()
    const timer = this.#deps.clock.after(ms, time.resolve)
    await Promise.race([over, time.promise])
    timer.cancel()
  }
}
