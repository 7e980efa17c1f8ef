/** The differential itself: what our parser accepts, Node's must accept, with the same boundaries, fields and body. */
import { corpusSeeds, methods, pickMessage } from './grammar.ts'
import { mutate } from './mutate.ts'
import { NodeReader } from './node-reader.ts'
import { type OurReader, ourReader, type ReadMessage } from './our-reader.ts'
import { type Random, seededRandom } from './random.ts'

export interface Difference {
  readonly kind: 'node refuses' | 'read differently' | 'depends on the pieces'
  readonly bytes: string
  readonly ours: unknown
  readonly node: unknown
}

export interface Report {
  readonly messages: number
  /** Messages that our parser accepted, and that Node's therefore had to agree on. */
  accepted: number
  incomplete: number
  /** Accepted with a method that Node does not know, or outside what is compared. */
  skipped: number
  readonly differences: Difference[]
}

export interface Options {
  readonly messages: number
  readonly seed: number
  /** Stops after this many differences. Default 20. */
  readonly maxDifferences?: number
  readonly reader?: OurReader
  progress?(done: number, report: Report): void
}

interface Accepted {
  readonly bytes: Buffer
  readonly message: ReadMessage
}

/** Messages of one in-memory connection. */
const batchSize = 64
const known = new Set(methods)

/** Node may end the connection after such a message (it heeds Connection in trailers too), so it must be the last one. */
function isLast({ minor, fields, trailers }: ReadMessage): boolean {
  return minor === 0 || [...fields, ...trailers].some((text) => /^connection$/i.test(text))
}

class Differential {
  readonly #node = new NodeReader()
  readonly #ours: OurReader
  readonly #random: Random
  readonly #seeds = corpusSeeds()
  readonly #options: Options
  readonly #report: Report
  #batch: Accepted[] = []

  constructor(options: Options) {
    this.#options = options
    this.#ours = options.reader ?? ourReader()
    this.#random = seededRandom(options.seed)
    this.#report = { messages: options.messages, accepted: 0, incomplete: 0, skipped: 0, differences: [] }
  }

  async run(): Promise<Report> {
    const { messages, maxDifferences = 20, progress } = this.#options
    for (let done = 1; done <= messages; done++) {
      this.#one()
      if (
        this.#batch.length >= batchSize ||
        (this.#batch.length > 0 && isLast(this.#batch.at(-1)!.message))
      ) {
        await this.#compare()
      }
      if (done % 50_000 === 0) progress?.(done, this.#report)
      if (this.#report.differences.length >= maxDifferences) break
    }
    await this.#compare()
    this.#node.close()
    return this.#report
  }

  #seed(): string {
    const random = this.#random
    return pickMessage(random, this.#seeds)
  }

  #one(): void {
    const text = mutate(this.#seed(), () => this.#seed(), this.#random)
    const bytes = Buffer.from(text, 'latin1')
    const whole = this.#ours.read(bytes, [])
    this.#checkPieces(bytes, whole)
    if (whole.status === 'incomplete') this.#report.incomplete++
    if (whole.status !== 'accepted' || whole.message === undefined) return
    if (!known.has(whole.message.method)) {
      this.#report.skipped++
      return
    }
    this.#report.accepted++
    this.#batch.push({ bytes: bytes.subarray(0, whole.length), message: whole.message })
  }

  /** The same bytes in two pieces must give the same reading. */
  #checkPieces(bytes: Buffer, whole: unknown): void {
    const cut = this.#random.below(bytes.length + 1)
    const split = this.#ours.read(bytes, [cut])
    const [a, b] = [JSON.stringify(whole), JSON.stringify(split)]
    if (a !== b)
      this.#differ({ kind: 'depends on the pieces', bytes: text(bytes), ours: whole, node: { cut, split } })
  }

  #differ(difference: Difference): void {
    this.#report.differences.push(difference)
  }

  async #compare(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    if (batch.length === 0) return
    const reading = await this.#node.read(Buffer.concat(batch.map(({ bytes }) => bytes)), batch.length)
    const same = batch.every(
      ({ message }, i) => JSON.stringify(message) === JSON.stringify(reading.messages[i]),
    )
    if (same && reading.messages.length === batch.length) return
    await this.#narrow(batch)
  }

  /** Something in the batch differs: each message on a connection of its own, then in pairs. */
  async #narrow(batch: readonly Accepted[]): Promise<void> {
    const before = this.#report.differences.length
    for (const one of batch) {
      const alone = await this.#node.read(one.bytes, 1)
      const { messages, error } = alone
      if (messages.length === 0) {
        this.#differ({
          kind: 'node refuses',
          bytes: text(one.bytes),
          ours: one.message,
          node: error ?? 'waits for more',
        })
      } else if (JSON.stringify(messages[0]) !== JSON.stringify(one.message) || error !== undefined) {
        this.#differ({ kind: 'read differently', bytes: text(one.bytes), ours: one.message, node: alone })
      }
    }
    if (this.#report.differences.length > before) return
    const bytes = Buffer.concat(batch.map((one) => one.bytes))
    const reading = await this.#node.read(bytes, batch.length)
    this.#differ({
      kind: 'read differently',
      bytes: text(bytes),
      ours: batch.map(({ message }) => message),
      node: reading,
    })
  }
}

function text(bytes: Buffer): string {
  return bytes.toString('latin1')
}

export function runDifferential(options: Options): Promise<Report> {
  return new Differential(options).run()
}
