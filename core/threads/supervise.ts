/**
 * The life of the data threads: starts them, replaces those that die, with a back-off that doubles while they keep dying.
 * A thread that dies loses its own connections and nothing else: its rows are cleared, its successor starts from the
 * committed snapshot and binds beside the others.
 */
import type { Clock, Log, Timer } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { FromThread, ThreadData } from './messages.ts'
import { type LinkEvents, ThreadLink } from './thread-link.ts'

const firstBackoffMs = 50
const longestBackoffMs = 30_000
/** A thread that served for so long has recovered. */
const stableMs = 10_000
/** Deaths without a stable time between them that make a crash loop. */
const crashLoopDeaths = 4

export type ThreadStatus = 'starting' | 'serving' | 'backing-off' | 'stopped'

export interface ThreadState {
  readonly thread: number
  readonly status: ThreadStatus
  /** Times it was replaced since the process started. */
  readonly restarts: number
  readonly crashLoop: boolean
  readonly lastError: string | undefined
}

export interface SupervisorDeps {
  readonly clock: Clock
  readonly log: Log
  readonly entry: URL
  data(thread: number, row: number): ThreadData
  /** Rows of the shared tables; one more than threads where a thread may be replaced while it serves. */
  readonly rows: number
  /** After a thread has ended, before its row is used again: clears what it left behind. */
  cleared(row: number): void
  /** An error that nobody caught is about to end the thread. */
  uncaught(link: ThreadLink, error: unknown): void
  /** A thread has loaded its plugins and needs the committed snapshot. Not called during `start`. */
  joined(link: ThreadLink): void
  message(link: ThreadLink, message: FromThread): void
}

type Seat = {
  row: number
  link: ThreadLink | undefined
  status: ThreadStatus
  restarts: number
  deaths: number
  lastError: string | undefined
  timer: Timer | undefined
  stable: Timer | undefined
  online: (() => void)[]
}

export class Supervisor {
  readonly #deps: SupervisorDeps
  readonly #seats: Seat[]
  /** Rows that no thread has. */
  readonly #spare: number[]
  /** Threads that are being replaced, or that are to replace one: they hold snapshots, and are nobody's seat. */
  readonly #beside = new Set<ThreadLink>()
  readonly #waits = new Set<() => void>()
  /** Threads beside that are awaited. */
  readonly #online = new Map<ThreadLink, () => void>()
  #stopping = false
  #started = false

  constructor(deps: SupervisorDeps, threads: number) {
    this.#deps = deps
    this.#spare = Array.from({ length: deps.rows - threads }, (_, i) => threads + i)
    this.#seats = Array.from({ length: threads }, (_, row) => ({
      row,
      link: undefined,
      status: 'starting',
      restarts: 0,
      deaths: 0,
      lastError: undefined,
      timer: undefined,
      stable: undefined,
      online: [],
    }))
  }

  /**
   * Starts all threads; settles when each has loaded its plugins.
   * @throws MR_THREAD when one dies instead
   */
  async start(): Promise<void> {
    const links = await Promise.all(
      this.#seats.map(async (seat, thread) => {
        const link = this.#spawn(thread)
        const online = new Promise<void>((resolve) => seat.online.push(resolve))
        await Promise.race([online, link.exited])
        return link
      }),
    )
    // Also one that was online and died while another started: nobody would replace it.
    for (const { alive, thread } of links) {
      if (alive) continue
      const why = this.#seats[thread].lastError ?? 'it gave no reason'
      throw new MillraceError('MR_THREAD', `data thread ${thread} ended while it started: ${why}`)
    }
    this.#started = true
  }

  /** Threads that have loaded their plugins. */
  online(): ThreadLink[] {
    return this.#seats.flatMap(({ link }) => (link?.alive && link.online ? [link] : []))
  }

  /** Every thread that may hold a snapshot. */
  holding(): ThreadLink[] {
    return [...this.online(), ...this.#beside]
  }

  /** Starts a thread that may take the seat of one that serves; undefined when it does not come, or there is no row for it. */
  async startBeside(thread: number, timeoutMs: number): Promise<ThreadLink | undefined> {
    const row = this.#spare.pop()
    if (row === undefined || this.#stopping) return undefined
    const link = this.#link(thread, row)
    this.#beside.add(link)
    const coming = Promise.withResolvers<void>()
    this.#online.set(link, coming.resolve)
    const timer = this.#deps.clock.after(timeoutMs, () => void link.kill())
    await Promise.race([coming.promise, link.exited])
    timer.cancel()
    this.#online.delete(link)
    return link.alive ? link : undefined
  }

  /** Swaps the two; the old thread is then beside. False: it is not (or no longer) the one in the seat. */
  takeSeat(next: ThreadLink, old: ThreadLink): boolean {
    const seat = this.#seats[next.thread]
    if (seat.link !== old || !old.alive || !next.alive || this.#stopping) return false
    this.#beside.delete(next)
    this.#beside.add(old)
    seat.row = next.row
    seat.link = next
    return true
  }

  /** Settles with true as soon as every thread is online, with false when time is over before. */
  whole(timeoutMs: number): Promise<boolean> {
    return this.#within(timeoutMs, this.#seats)
  }

  /** Settles with true as soon as any thread is online. Threads that wait to be started are started now. */
  async some(timeoutMs: number): Promise<boolean> {
    this.#seats.forEach((seat, thread) => {
      if (seat.timer) this.#respawn(thread)
    })
    if (this.online().length > 0) return true
    return Promise.any(
      this.#seats.map(async (seat) => {
        if (!(await this.#within(timeoutMs, [seat]))) throw new Error('late')
        return true
      }),
    ).catch(() => false)
  }

  /** The thread serves the committed snapshot. */
  serving(link: ThreadLink): void {
    const seat = this.#seats[link.thread]
    if (seat.link !== link || !link.alive) return
    seat.status = 'serving'
    seat.stable?.cancel()
    seat.stable = this.#deps.clock.after(stableMs, () => {
      seat.deaths = 0
    })
  }

  states(): ThreadState[] {
    return this.#seats.map((seat, thread) => ({
      thread,
      status: seat.status,
      restarts: seat.restarts,
      crashLoop: seat.deaths >= crashLoopDeaths,
      lastError: seat.lastError,
    }))
  }

  /** Ends a thread as if it had crashed; settles when it is gone. */
  async kill(thread: number): Promise<void> {
    await this.#seats[thread]?.link?.kill()
  }

  /** From now on nothing is replaced. */
  stopReplacing(): void {
    this.#stopping = true
    for (const giveUp of [...this.#waits]) giveUp()
    for (const seat of this.#seats) {
      seat.timer?.cancel()
      seat.timer = undefined
      seat.stable?.cancel()
    }
  }

  /** Ends all threads at once. */
  async stop(): Promise<void> {
    this.stopReplacing()
    const seated = this.#seats.map(({ link }) => link)
    await Promise.all([...seated, ...this.#beside].map((link) => this.end(link)))
  }

  /** Asks a thread to end; ends it when it does not. */
  async end(link: ThreadLink | undefined): Promise<void> {
    if (!link?.alive) return
    link.send({ type: 'stop' })
    const timer = this.#deps.clock.after(1000, () => void link.kill())
    await link.exited
    timer.cancel()
  }

  #link(thread: number, row: number): ThreadLink {
    const events: LinkEvents = {
      message: (link, message) => {
        if (message.type === 'online') this.#cameOnline(link)
        else this.#deps.message(link, message)
      },
      error: (link, error) => this.#failed(link, error),
      exit: (link, code) => this.#exited(link, code),
    }
    return new ThreadLink(this.#deps.entry, this.#deps.data(thread, row), this.#deps.clock, events)
  }

  #spawn(thread: number): ThreadLink {
    const seat = this.#seats[thread]
    seat.status = 'starting'
    seat.link = this.#link(thread, seat.row)
    return seat.link
  }

  #respawn(thread: number): void {
    const seat = this.#seats[thread]
    seat.timer?.cancel()
    seat.timer = undefined
    if (this.#stopping) return
    seat.restarts++
    this.#spawn(thread)
  }

  #cameOnline(link: ThreadLink): void {
    const beside = this.#online.get(link)
    if (beside) {
      beside()
      return
    }
    const seat = this.#seats[link.thread]
    for (const resolve of seat.online.splice(0)) resolve()
    // Who comes while the process leaves is too late: it would listen again.
    if (this.#started && !this.#stopping) this.#deps.joined(link)
  }

  #failed(link: ThreadLink, error: unknown): void {
    this.#seats[link.thread].lastError = error instanceof Error ? error.message : String(error)
    this.#deps.uncaught(link, error)
  }

  #exited(link: ThreadLink, code: number): void {
    const { thread } = link
    const seat = this.#seats[thread]
    if (this.#beside.delete(link)) this.#spare.push(link.row)
    this.#deps.cleared(link.row)
    if (seat.link !== link) return
    seat.stable?.cancel()
    if (this.#stopping || !this.#started) {
      seat.status = 'stopped'
      return
    }
    seat.deaths++
    // The first replacement is at once: the port of a single thread is closed until it listens.
    const ms = seat.deaths === 1 ? 0 : Math.min(firstBackoffMs * 2 ** (seat.deaths - 2), longestBackoffMs)
    seat.status = 'backing-off'
    const fields = { code: 'MR_THREAD', thread, exitCode: code, deaths: seat.deaths, restartInMs: ms }
    this.#deps.log.error('data thread died; it is replaced', fields)
    if (ms === 0) this.#respawn(thread)
    else seat.timer = this.#deps.clock.after(ms, () => this.#respawn(thread))
  }

  #within(timeoutMs: number, seats: readonly Seat[]): Promise<boolean> {
    const missing = seats.filter((seat) => !(seat.link?.alive && seat.link.online))
    if (missing.length === 0 || this.#stopping) return Promise.resolve(missing.length === 0)
    return new Promise((resolve) => {
      const settle = (whole: boolean): void => {
        this.#waits.delete(giveUp)
        timer.cancel()
        resolve(whole)
      }
      const giveUp = (): void => settle(false)
      const timer = this.#deps.clock.after(timeoutMs, giveUp)
      this.#waits.add(giveUp)
      const waits = missing.map((seat) => new Promise<void>((online) => seat.online.push(online)))
      void Promise.all(waits).then(() => settle(true))
    })
  }
}
