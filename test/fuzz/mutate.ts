/** Mutations that tend to find differences between HTTP parsers: bytes, lines, numbers, splices. */
import type { Random } from './random.ts'

const bytes = [
  '\0',
  '\x01',
  '\t',
  '\n',
  '\v',
  '\f',
  '\r',
  ' ',
  '#',
  '"',
  ',',
  '-',
  '0',
  ':',
  ';',
  '=',
  '_',
  '\x7f',
  '\x80',
  '\x85',
  '\xa0',
  '\xff',
]
const snippets = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  '\r\n ',
  '\r\n\t',
  ' HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/1.10',
  'http/1.1',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'content-length:+5\r\n',
  'Content_Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding:\tchunked\r\n',
  'transfer-encoding: x\r\n',
  'Transfer--Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Expect: 100-continue\r\n',
  'Host: b\r\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  '0x5',
  '+5',
  '5;',
  ';a=b',
  'ffffffffffffffff',
  '10000000000000000',
  '9007199254740993',
  ' :',
  ': ',
  ':',
]

function splice(text: string, at: number, remove: number, insert: string): string {
  return text.slice(0, at) + insert + text.slice(at + remove)
}

/** Start of a random line. */
function lineStart(text: string, random: Random): number {
  const from = random.below(text.length + 1)
  const found = text.indexOf('\r\n', from)
  return found < 0 ? text.length : found + 2
}

function mutateOnce(text: string, other: () => string, random: Random): string {
  const at = random.below(text.length + 1)
  switch (random.below(10)) {
    case 0:
      return splice(text, at, 1, random.pick(bytes))
    case 1:
      return splice(text, at, 0, random.pick(bytes))
    case 2:
      return splice(text, at, 1 + random.below(4), '')
    case 3:
      return splice(text, at, 1, String.fromCharCode(random.below(256)))
    case 4:
      return splice(text, lineStart(text, random), 0, random.pick(snippets))
    case 5:
      return splice(text, at, random.below(3), random.pick(snippets))
    case 6: {
      const start = lineStart(text, random)
      const end = text.indexOf('\r\n', start)
      const line = end < 0 ? '' : text.slice(start, end + 2)
      return splice(text, random.chance(0.5) ? start : lineStart(text, random), 0, line)
    }
    case 7: {
      const start = lineStart(text, random)
      const end = text.indexOf('\r\n', start)
      return end < 0 ? text : splice(text, start, end + 2 - start, '')
    }
    case 8: {
      const found = /[A-Za-z]/.exec(text.slice(at))
      if (found === null) return text
      const char = found[0]
      const flipped = char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase()
      return splice(text, at + found.index, 1, flipped)
    }
    default: {
      const donor = other()
      return text.slice(0, at) + donor.slice(random.below(donor.length + 1))
    }
  }
}

/** One to four mutations; now and then none, so that plain messages are compared too. */
export function mutate(seed: string, other: () => string, random: Random): string {
  let text = seed
  for (let count = random.below(4); count > 0; count--) text = mutateOnce(text, other, random)
  return text
}
