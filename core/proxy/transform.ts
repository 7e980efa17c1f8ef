/** Body transforms in a row, with back-pressure: synchronous while the transforms are, waiting where one returns a promise. */
import type { FilterUse } from '../config/snapshot.ts'
import type { BodyTransform } from '../contracts/filter.ts'

/** What the pipe drives. */
export interface PipeEnds {
  /** A transformed piece. False: hold on until `resume`. */
  data(chunk: Buffer): boolean
  end(): void
  /** `owner`: whose transform threw. */
  fail(error: unknown, owner: FilterUse | undefined): void
  /** The source may go on. */
  more(): void
}

export class TransformPipe {
  readonly #stages: BodyTransform[] = []
  readonly #owners: (FilterUse | undefined)[] = []
  /** The stage that runs, or that is waited for. */
  #at = 0
  readonly #ends: PipeEnds
  readonly #queue: Buffer[] = []
  #busy = false
  #blocked = false
  #ending = false
  #over = false

  constructor(ends: PipeEnds) {
    this.#ends = ends
  }

  add(transform: BodyTransform, owner?: FilterUse): void {
    this.#owners.push(owner)
    this.#stages.push(transform)
  }

  prepend(transform: BodyTransform, owner?: FilterUse): void {
    // Answers pass filters in reverse: the filter that runs first sees the backend's bytes first, and so stands first.
    this.#owners.push(owner)
    this.#stages.push(transform)
  }

  /** False: pause the source until `more`. */
  write(chunk: Buffer): boolean {
    if (this.#over) return true
    if (this.#busy || this.#blocked) {
      this.#queue.push(chunk)
      return false
    }
    this.#run(() => this.#through(0, chunk))
    return !this.#busy && !this.#blocked
  }

  end(): void {
    this.#ending = true
    this.#next()
  }

  /** The sink has room again. */
  resume(): void {
    this.#blocked = false
    this.#next()
  }

  /** Nothing more is delivered. */
  stop(): void {
    this.#over = true
  }

  #run(step: () => PromiseLike<void> | undefined): void {
    this.#busy = true
    let pending: PromiseLike<void> | undefined
    try {
      pending = step()
    } catch (error) {
      this.#fail(error)
      return
    }
    if (!pending) {
      this.#busy = false
      return
    }
    pending.then(
      () => {
        this.#busy = false
        this.#next()
      },
      (error) => this.#fail(error),
    )
  }

  #fail(error: unknown): void {
    this.#busy = false
    if (this.#over) return
    this.#over = true
    this.#ends.fail(error, this.#owners[this.#at])
  }

  /** Goes on with what has waited. */
  #next(): void {
    while (!this.#busy && !this.#blocked && !this.#over) {
      const chunk = this.#queue.shift()
      if (chunk) {
        this.#run(() => this.#through(0, chunk))
        continue
      }
      if (!this.#ending) {
        this.#ends.more()
        return
      }
      this.#ending = false
      this.#run(() => this.#flush(0))
      if (this.#busy) return
    }
  }

  #through(stage: number, chunk: Uint8Array): PromiseLike<void> | undefined {
    if (this.#over) return undefined
    if (stage === this.#stages.length) {
      if (chunk.length === 0) return undefined
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      if (!this.#ends.data(bytes)) this.#blocked = true
      return undefined
    }
    const out: Uint8Array[] = []
    this.#at = stage
    const pending = this.#stages[stage].transform(chunk, (piece) => out.push(piece))
    if (pending) return pending.then(() => this.#each(stage + 1, out, 0))
    return this.#each(stage + 1, out, 0)
  }

  #each(stage: number, chunks: Uint8Array[], from: number): PromiseLike<void> | undefined {
    for (let i = from; i < chunks.length; i++) {
      const pending = this.#through(stage, chunks[i])
      if (pending) return pending.then(() => this.#each(stage, chunks, i + 1))
    }
    return undefined
  }

  #flush(stage: number): PromiseLike<void> | undefined {
    for (let i = stage; i < this.#stages.length; i++) {
      const out: Uint8Array[] = []
      this.#at = i
      const pending = this.#stages[i].flush?.((piece) => out.push(piece))
      if (pending) return pending.then(() => this.#each(i + 1, out, 0)).then(() => this.#flush(i + 1))
      const passed = this.#each(i + 1, out, 0)
      if (passed) return passed.then(() => this.#flush(i + 1))
    }
    if (!this.#over) {
      this.#over = true
      this.#ends.end()
    }
    return undefined
  }
}
