/** The scanner against the parser it stands in for: whatever it takes, the parser must take with the same offsets. */
import { MessageHead, stride } from '#core/http1/head'
import { type HeadLimits, headResult, parseHead } from '#core/http1/parse'
import { HeadScanner } from '#core/http1/scan'
import { corpusSeeds, pickMessage } from './grammar.ts'
import { mutate } from './mutate.ts'
import { type Random, seededRandom } from './random.ts'

const sharedBytes = 8 * 1024
/** Small, so that many messages come to them. */
const narrow: HeadLimits = { head: 300, fields: 6, target: 40 }
const wide: HeadLimits = { head: 16_384, fields: 100, target: 8_192 }

/** All that the parser says of a head, for comparison. */
function said(head: MessageHead, result: number): object {
  if (result === headResult.refused) return { result, error: head.error, reason: head.reason }
  if (result === headResult.more) return { result }
  const first = [...head.first].filter((_, id) => head.has(id))
  const { length, targetStart, targetEnd, fieldsStart, minor, status, count, seen, repeated } = head
  return {
    ...{ result, length, targetStart, targetEnd, fieldsStart, minor, status, count, seen, repeated, first },
    ...{ methodEnd: head.methodEnd, isGet: head.isGet, isHead: head.isHead },
    ids: [...head.ids.subarray(0, count)],
    at: [...head.at.subarray(0, count * stride)],
  }
}

export interface ScanReport {
  readonly heads: number
  /** Heads that were accepted. */
  readonly accepted: number
  /** Of those, the ones that the scanner took itself. */
  readonly scanned: number
  readonly differences: readonly {
    readonly bytes: string
    readonly parser: object
    readonly scanner: object
  }[]
}

/** Both readers over the same bytes. The scanner's memory keeps what earlier messages left there, as in service. */
export class ScanComparison {
  readonly #scanner = new HeadScanner(sharedBytes)
  readonly #random: Random
  heads = 0
  accepted = 0
  scanned = 0
  readonly differences: { bytes: string; parser: object; scanner: object }[] = []

  constructor(random: Random) {
    this.#random = random
  }

  /** `bytes` from the start, at any offset, with any of them missing at the end, in the shared buffer and out of it. */
  check(bytes: Buffer, isRequest: boolean, end = bytes.length): void {
    const inPlace = this.#random.below(2) === 0 && bytes.length < sharedBytes - 64
    const base = this.#random.below(40)
    const around = inPlace ? this.#scanner.shared : Buffer.alloc(base + bytes.length)
    bytes.copy(around, base)
    const limits = this.#random.below(4) === 0 ? narrow : wide
    const expected = new MessageHead(limits.fields)
    const found = new MessageHead(limits.fields)
    const parser = said(expected, parseHead(expected, around, base, base + end, isRequest, limits))
    const result = this.#scanner.parse(found, around, base, base + end, isRequest, limits)
    const scanner = said(found, result)
    this.heads++
    if (result === headResult.done) {
      this.accepted++
      // The parser leaves its state behind.
      if (found.state === 0) this.scanned++
    }
    if (JSON.stringify(parser) !== JSON.stringify(scanner))
      this.differences.push({ bytes: bytes.toString('latin1', 0, end), parser, scanner })
  }
}

const statusLines = [
  'HTTP/1.1 200 OK',
  'HTTP/1.0 404 ',
  'HTTP/1.1 204',
  'HTTP/1.1 599 \xe9t\xe9\tx',
  'HTTP/1.1 20 OK',
]

/** @param heads how many mutated messages, requests and responses by turns */
export function compareScans(heads: number, seed: number, progress?: (done: ScanReport) => void): ScanReport {
  const random = seededRandom(seed)
  const comparison = new ScanComparison(random)
  const seeds = corpusSeeds()
  const pick = (): string => pickMessage(random, seeds)
  for (let i = 0; i < heads && comparison.differences.length < 20; i++) {
    let text = random.below(5) === 0 ? pick() : mutate(pick(), pick, random)
    const isRequest = i % 2 === 0
    if (!isRequest) {
      const line = random.pick(statusLines)
      text = text.replace(/^[^\r\n]*/, random.below(4) === 0 ? mutate(line, pick, random) : line)
    }
    const bytes = Buffer.from(text, 'latin1')
    comparison.check(bytes, isRequest, random.below(4) === 0 ? random.below(bytes.length + 1) : bytes.length)
    if (progress && (i + 1) % 200_000 === 0) progress(comparison)
  }
  return comparison
}
