/**
 * What is found for the names by which nodes are reached. A look-up takes one of the few threads that the whole process has for files,
 * compression and the like, those of the data threads included, for as long as the name server pleases: so there is one at a time, what
 * was found serves for a while, and what has served for long goes on until there is a newer.
 */

/** As for backends. */
const freshMs = 30_000
/** A name that could not be found is looked for again after so long. */
const failedMs = 5000
const mostNames = 4096

interface Known<T> {
  /** Undefined: nothing. */
  readonly found: T | undefined
  readonly error: unknown
  readonly at: number
}

export interface LookupDeps<T> {
  /** Monotonic milliseconds. */
  now(): number
  /** Rejects where there is no such name. */
  find(host: string): Promise<T>
}

export class Lookups<T extends string | readonly object[]> {
  readonly #deps: LookupDeps<T>
  readonly #known = new Map<string, Known<T>>()
  readonly #pending = new Map<string, Promise<Known<T>>>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(deps: LookupDeps<T>) {
    this.#deps = deps
  }

  /** Rejects where the name cannot be found. */
  async of(host: string): Promise<T> {
    const known = this.#known.get(host)
    const pending = this.#isDue(known) ? this.#look(host, known) : undefined
    const { found, error } = known?.found === undefined && pending ? await pending : (known ?? nothing)
    if (found === undefined) throw error
    return found
  }

  #isDue(known: Known<T> | undefined): boolean {
    if (!known) return true
    return this.#deps.now() - known.at >= (known.found === undefined ? failedMs : freshMs)
  }

  #look(host: string, before: Known<T> | undefined): Promise<Known<T>> {
    const { now, find } = this.#deps
    const underWay = this.#pending.get(host)
    if (underWay) return underWay
    const done = this.#last.then(async () => {
      const known: Known<T> = await find(host).then(
        (found) => ({ found, error: undefined, at: now() }),
        // What was found before is as good as anything.
        (error: unknown) => ({ found: before?.found, error, at: now() }),
      )
      this.#keep(host, known)
      return known
    })
    this.#pending.set(host, done)
    this.#last = done
    return done
  }

  #keep(host: string, known: Known<T>): void {
    this.#pending.delete(host)
    this.#known.delete(host)
    this.#known.set(host, known)
    if (this.#known.size > mostNames) this.#known.delete(this.#known.keys().next().value as string)
  }
}

const nothing = { found: undefined, error: undefined }
