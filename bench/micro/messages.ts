/** Heads of an exact size, 64 different ones of each: targets, values and the order of the fields change from one to the next. */
import { MessageHead } from '../../core/http1/head.ts'
import { headResult, parseHead } from '../../core/http1/parse.ts'
import { seeded } from '../fixtures/context.ts'
import { shuffled } from '../stats/random.ts'
import { inputs } from './case.ts'

/** As the config has them unless told otherwise. */
export const limits = { head: 16 * 1024, fields: 100, target: 8192 }

/** In bytes. */
export const headSizes = { small: 43, browser: 490, large: 16 * 1024 }

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'

class Words {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = seeded(seed)
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  text(length: number): string {
    return Array.from({ length }, () => letters[this.below(letters.length)]).join('')
  }

  order<T>(items: readonly T[]): T[] {
    return shuffled(items, this.#random)
  }
}

/** `before` and `after` with as much text between them as makes `bytes` in all. */
function padded(words: Words, bytes: number, before: string, after: string): Buffer {
  const room = bytes - before.length - after.length
  if (room < 1) throw new Error(`a head of ${before.length + after.length} bytes is larger than ${bytes}`)
  return Buffer.from(before + words.text(room) + after, 'latin1')
}

function smallHead(words: Words): Buffer {
  const target = `/${words.text(words.below(9))}`
  return padded(words, headSizes.small, `GET ${target} HTTP/1.1\r\nHost: `, '\r\n\r\n')
}

/** @param more field lines besides a browser's */
function browserHead(words: Words, bytes: number, more: readonly string[]): Buffer {
  const target = `/${words.text(1 + words.below(12))}?page=${words.below(1000)}`
  const version = 100 + words.below(40)
  const fields = words.order([
    `User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`,
    'Accept: text/html,application/xhtml+xml,*/*;q=0.8',
    'Accept-Language: de,en;q=0.5',
    'Accept-Encoding: gzip, deflate, br',
    'Connection: keep-alive',
    'Upgrade-Insecure-Requests: 1',
    `If-None-Match: "${words.text(6)}"`,
    ...more,
  ])
  const start = `GET ${target} HTTP/1.1\r\nHost: ${words.text(3 + words.below(6))}.example.com\r\n`
  return padded(words, bytes, `${start}${fields.join('\r\n')}\r\nCookie: session=`, '\r\n\r\n')
}

/** Sixty fields of 180 bytes, and a cookie for the rest. */
function largeHead(words: Words): Buffer {
  const more = Array.from({ length: 60 }, (_, index) => `X-Field-${index}: ${words.text(167)}`)
  return browserHead(words, headSizes.large, more)
}

export function requestHeads(size: keyof typeof headSizes): Buffer[] {
  const words = new Words(5)
  const make = {
    small: () => smallHead(words),
    browser: () => browserHead(words, headSizes.browser, []),
    large: () => largeHead(words),
  }[size]
  return Array.from({ length: inputs }, make)
}

export function responseHeads(): Buffer[] {
  const words = new Words(6)
  return Array.from({ length: inputs }, () => {
    const fields = words.order([
      'Server: nginx/1.22.1',
      'Date: Thu, 01 Jan 2026 00:00:00 GMT',
      'Content-Type: text/html; charset=utf-8',
      `Content-Length: ${10_000 + words.below(90_000)}`,
      'Connection: keep-alive',
      `ETag: "${words.text(12)}"`,
    ])
    return Buffer.from(`HTTP/1.1 200 OK\r\n${fields.join('\r\n')}\r\n\r\n`, 'latin1')
  })
}

/** Parses a head that is whole, and makes its text; throws when it is refused. */
export function parsedHead(bytes: Buffer, isRequest: boolean): MessageHead {
  const head = new MessageHead(limits.fields)
  if (parseHead(head, bytes, 0, bytes.length, isRequest, limits) !== headResult.done)
    throw new Error(`refused: ${head.reason}`)
  head.text = bytes.toString('latin1', 0, head.length)
  return head
}
