/** Tells the data threads to drain, and hears when they have. */
import type { FromThread } from './messages.ts'
import type { ThreadLink } from './thread-link.ts'

type Watch = { readonly closed: PromiseWithResolvers<void>; readonly quiet: PromiseWithResolvers<void> }

export class ThreadDrain {
  readonly #watches = new Map<ThreadLink, Watch>()

  constructor(links: readonly ThreadLink[]) {
    for (const link of links) {
      const watch = { closed: Promise.withResolvers<void>(), quiet: Promise.withResolvers<void>() }
      this.#watches.set(link, watch)
      // A thread that dies while it drains has nothing left to wait for.
      void link.exited.then(() => {
        watch.closed.resolve()
        watch.quiet.resolve()
      })
    }
  }

  /** @param idleAfterMs for so long, idle connections stay: who has just come still sends its request */
  async closeListeners(idleAfterMs = 0): Promise<void> {
    for (const link of this.#watches.keys()) link.send({ type: 'close-listeners', idleAfterMs })
    await Promise.all([...this.#watches.values()].map((watch) => watch.closed.promise))
  }

  async quiet(): Promise<void> {
    await Promise.all([...this.#watches.values()].map((watch) => watch.quiet.promise))
  }

  receive(link: ThreadLink, message: FromThread): void {
    if (message.type === 'listeners-closed') this.#watches.get(link)?.closed.resolve()
    if (message.type === 'quiet') this.#watches.get(link)?.quiet.resolve()
  }
}
