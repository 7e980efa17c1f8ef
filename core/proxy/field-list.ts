/**
 * Header fields that somebody changes: a head's forwarded fields, taken apart at the first write. Reads before that go to
 * the head itself. Implements what filters see.
 */
import { type HeaderFields, protectedFields } from '../contracts/filter.ts'
import { MillraceError } from '../host/errors.ts'
import type { MessageHead } from '../http1/head.ts'
import { isFieldValue, isToken } from '../http1/tables.ts'

/** Never forwarded, so never taken over from a head. Content-Length and Trailer are kept: they go with the body. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

function check(name: string, value: string): void {
  let ok = name.length > 0
  for (let i = 0; ok && i < name.length; i++) ok = isToken[name.charCodeAt(i)] === 1
  if (!ok) throw new MillraceError('MR_HEADER_INVALID', `header name ${JSON.stringify(name)} is not a token`)
  if (protectedFields.has(name.toLowerCase())) {
    throw new MillraceError('MR_HEADER_INVALID', `header ${name} belongs to the core and cannot be written`)
  }
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code > 255 || isFieldValue[code] === 0) {
      throw new MillraceError(
        'MR_HEADER_INVALID',
        `value of header ${name} holds a forbidden character at ${i}`,
      )
    }
  }
}

export class FieldList implements HeaderFields {
  readonly #head: MessageHead | undefined
  readonly #nominated: readonly string[] | undefined
  #names: string[] | undefined
  #values: string[] = []

  /** @param head undefined: an empty list, already taken apart */
  constructor(head: MessageHead | undefined, nominated: readonly string[] | undefined) {
    this.#head = head
    this.#nominated = nominated
    this.#names = head ? undefined : []
  }

  /** True when the head's own fields no longer hold. */
  get changed(): boolean {
    return this.#names !== undefined
  }

  #open(): string[] {
    if (this.#names) return this.#names
    const names: string[] = []
    const head = this.#head!
    for (let i = 0; i < head.count; i++) {
      const name = head.name(i)
      const lower = name.toLowerCase()
      if (hopByHop.has(lower)) continue
      if (this.#nominated?.includes(lower) && lower !== 'host' && lower !== 'content-length') continue
      names.push(name)
      this.#values.push(head.value(i))
    }
    this.#names = names
    return names
  }

  #find(name: string, from = 0): number {
    const lower = name.toLowerCase()
    const names = this.#names!
    for (let i = from; i < names.length; i++) {
      if (names[i].length === lower.length && names[i].toLowerCase() === lower) return i
    }
    return -1
  }

  get(name: string): string | undefined {
    if (!this.#names) return this.#head!.get(name.toLowerCase())
    const index = this.#find(name)
    return index < 0 ? undefined : this.#values[index]
  }

  getAll(name: string): string[] {
    this.#open()
    const all: string[] = []
    for (let i = this.#find(name); i >= 0; i = this.#find(name, i + 1)) all.push(this.#values[i])
    return all
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  set(name: string, value: string): void {
    check(name, value)
    this.put(name, value)
  }

  /** As `set`, for the core itself: framing fields too. */
  put(name: string, value: string): void {
    const names = this.#open()
    const index = this.#find(name)
    if (index < 0) {
      names.push(name)
      this.#values.push(value)
      return
    }
    this.#values[index] = value
    this.#removeFrom(name, index + 1)
  }

  append(name: string, value: string): void {
    check(name, value)
    this.#open().push(name)
    this.#values.push(value)
  }

  remove(name: string): void {
    if (protectedFields.has(name.toLowerCase())) {
      throw new MillraceError('MR_HEADER_INVALID', `header ${name} belongs to the core and cannot be removed`)
    }
    this.drop(name)
  }

  /** As `remove`, for the core itself. */
  drop(name: string): void {
    this.#open()
    this.#removeFrom(name, 0)
  }

  #removeFrom(name: string, from: number): void {
    for (let i = this.#find(name, from); i >= 0; i = this.#find(name, i)) {
      this.#names!.splice(i, 1)
      this.#values.splice(i, 1)
    }
  }

  entries(): [name: string, value: string][] {
    return this.#open().map((name, i) => [name, this.#values[i]])
  }

  /** Field lines, each with its CRLF; fields whose lower-case name is in `skip` are left out. */
  lines(skip: ReadonlySet<string>): string {
    const names = this.#open()
    let lines = ''
    for (let i = 0; i < names.length; i++) {
      if (!skip.has(names[i].toLowerCase())) lines += `${names[i]}: ${this.#values[i]}\r\n`
    }
    return lines
  }
}
