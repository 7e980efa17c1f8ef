/**
 * The fast way through a head: one that lies whole in memory is read by scan.wat, 16 bytes at a time. What that does not
 * take, an error or a head in pieces, goes through `parseHead`, which alone decides what is refused and why.
 *
 * Measured (bench/micro, bench core-speed): the heads of a 64-byte exchange cost 0.9 µs of its 15.5 byte by byte, in situ
 * about twice what a loop over the same head shows, because the jump at the end of each line is mispredicted.
 */
import { Buffer } from 'node:buffer'
import { candidates, spellings } from './fields.ts'
import { type MessageHead, stride } from './head.ts'
import { type HeadLimits, headResult, nameMethod, parseHead } from './parse.ts'
import { scanCode } from './scan-code.ts'
import { isToken } from './tables.ts'

/** Where things lie in the one page of memory; scan.wat knows all but the last two. */
const place = {
  tokenLow: 0,
  tokenHigh: 16,
  candidates: 64,
  spellings: 1024,
  startLine: 2048,
  fields: 4096,
  shared: 16 * 1024,
  copy: 32 * 1024,
} as const
const pageBytes = 64 * 1024
/** Integers that a field takes in `fields`: those of `MessageHead.at`, and its id. */
const fieldInts = stride + 1
const mostFields = Math.floor((place.shared - place.fields) / (4 * fieldInts))
/** From one spelling of a known name to the next. */
const spellingBytes = 32
/** Loads reach up to 44 bytes beyond the end. */
const slack = 48
/** What is copied at most; longer heads from elsewhere are read byte by byte: who sends them sends few, and of what is
 * copied behind a short one nothing is used. */
const copyBytes = 2 * 1024
const mostShared = place.copy - place.shared - slack
/** Integers of the start line, from `startLine` on. */
const start = {
  methodEnd: 0,
  targetStart: 1,
  targetEnd: 2,
  minor: 3,
  status: 4,
  fieldsStart: 5,
  length: 6,
} as const

type Scan = (request: number, base: number, end: number, fields: number) => number

interface WasmMemory {
  readonly buffer: ArrayBuffer
}

/** What is used of it: the platform's types have it among those of a browser. */
interface Wasm {
  Memory: new (size: { initial: number; maximum: number }) => WasmMemory
  Module: new (code: Uint8Array) => object
  Instance: new (module: object, imports: object) => { readonly exports: { readonly scan: Scan } }
}
const wasm = (globalThis as { WebAssembly?: Wasm }).WebAssembly

/** One per thread: its memory is written by every call. */
export class HeadScanner {
  /** Bytes that need no copy: what is read into this buffer is scanned where it is. */
  readonly shared: Buffer
  readonly #scan: Scan | undefined
  readonly #copy: Buffer
  readonly #start: Int32Array
  readonly #fields: Int32Array

  /** @param sharedBytes length of `shared`, up to 16,336 */
  constructor(sharedBytes: number) {
    if (sharedBytes > mostShared)
      throw new RangeError(`a shared buffer of at most ${mostShared} bytes expected, not ${sharedBytes}`)
    const memory = newMemory()
    this.#scan = memory && compile(memory)
    const buffer = memory?.buffer ?? new ArrayBuffer(pageBytes)
    this.shared = Buffer.from(buffer, place.shared, sharedBytes)
    this.#copy = Buffer.from(buffer, place.copy, copyBytes + slack)
    this.#start = new Int32Array(buffer, place.startLine, 8)
    this.#fields = new Int32Array(buffer, place.fields, mostFields * fieldInts)
  }

  /** HOT As `parseHead`. */
  parse(
    head: MessageHead,
    bytes: Buffer,
    base: number,
    end: number,
    isRequest: boolean,
    limits: HeadLimits,
  ): number {
    const scan = this.#scan
    if (scan !== undefined && head.scanned === 0) {
      const length = Math.min(end - base, limits.head)
      const inPlace = bytes === this.shared
      const at = inPlace ? place.shared + base : this.#take(bytes, base, length)
      const stop = at + (inPlace ? length : Math.min(length, copyBytes))
      const count = scan(isRequest ? 1 : 0, at, stop, Math.min(limits.fields, mostFields, head.ids.length))
      if (count >= 0 && this.#fill(head, count, isRequest, limits)) {
        if (isRequest) nameMethod(head, bytes, base)
        return headResult.done
      }
    }
    return parseHead(head, bytes, base, end, isRequest, limits)
  }

  /** HOT Brings bytes to where they can be scanned. */
  #take(bytes: Buffer, base: number, length: number): number {
    bytes.copy(this.#copy, 0, base, base + Math.min(length, copyBytes))
    return place.copy
  }

  /** HOT Into the head, what `parseHead` would have written there. */
  #fill(head: MessageHead, count: number, isRequest: boolean, limits: HeadLimits): boolean {
    const line = this.#start
    const targetStart = line[start.targetStart]
    const targetEnd = line[start.targetEnd]
    if (isRequest) {
      if (targetEnd - targetStart > limits.target) return false
      head.methodEnd = line[start.methodEnd]
    } else head.status = line[start.status]
    head.targetStart = targetStart
    head.targetEnd = targetEnd
    head.minor = line[start.minor]
    head.fieldsStart = line[start.fieldsStart]
    head.length = line[start.length]
    head.count = count
    const { at, ids, first } = head
    const fields = this.#fields
    let seen = 0
    let repeated = 0
    for (let i = 0, to = 0, from = 0; i < count; i++, to += stride, from += fieldInts) {
      at[to] = fields[from]
      at[to + 1] = fields[from + 1]
      at[to + 2] = fields[from + 2]
      at[to + 3] = fields[from + 3]
      const id = fields[from + 4]
      ids[i] = id
      if (id === 0) continue
      const bit = 1 << id
      if ((seen & bit) !== 0) repeated |= bit
      else {
        seen |= bit
        first[id] = i
      }
    }
    head.seen = seen
    head.repeated = repeated
    return true
  }
}

/** undefined where there is no WebAssembly (`--jitless`) or no room for its guard pages: all is then read byte by byte. */
function newMemory(): WasmMemory | undefined {
  try {
    return wasm && new wasm.Memory({ initial: 1, maximum: 1 })
  } catch {
    return undefined
  }
}

function compile(memory: WasmMemory): Scan | undefined {
  const bytes = new Uint8Array(memory.buffer)
  for (let byte = 0; byte < 128; byte++) {
    if (isToken[byte] === 1) bytes[place.tokenLow + (byte & 15)] |= 1 << (byte >> 4)
  }
  for (let high = 0; high < 8; high++) bytes[place.tokenHigh + high] = 1 << high
  bytes.set(candidates, place.candidates)
  for (const [id, spelling] of spellings.entries()) bytes.set(spelling, place.spellings + id * spellingBytes)
  try {
    const module = new wasm!.Module(Buffer.from(scanCode, 'base64'))
    return new wasm!.Instance(module, { scan: { memory } }).exports.scan
  } catch {
    // A processor without SIMD.
    return undefined
  }
}
