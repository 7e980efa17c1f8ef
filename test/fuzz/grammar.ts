/** Requests to mutate: a grammar of mostly valid messages, and the public collections. */
import http from 'node:http'
import { corporaDirectory, corporaPresent } from '../corpora/directory.ts'
import { guardianCases } from '../corpora/guardian.ts'
import { llhttpCases } from '../corpora/llhttp.ts'
import type { Random } from './random.ts'

/** Node's method list; CONNECT makes a tunnel of the connection and is refused by the proxy. */
export const methods: readonly string[] = http.METHODS.filter((method) => method !== 'CONNECT')

const targets = [
  '/',
  '/a',
  '/a/b?c=d',
  '/%20%zz',
  '*',
  'http://host/x?y',
  '/"<>[]{}|\\^`',
  '/a;b=c:d@e',
  '//x',
  '/?',
]
const names = [
  'Accept',
  'X-A',
  'x_b',
  'Cookie',
  'Via',
  "x!#$%&'*+.^`|~",
  'Content-Type',
  'TE',
  'Upgrade',
  'Trailer',
]
const values = [
  '',
  'a',
  '1, 2',
  'a b\tc',
  '"q\\"uoted"',
  '\x80\xff',
  'x'.repeat(60),
  'chunked',
  'close',
  '42',
  ';=,:',
]
const connections = ['keep-alive', 'close', 'Upgrade', 'x-a', 'keep-alive, close', '']
const extensions = [
  '',
  '',
  '',
  ';a',
  ';a=b',
  ';a="b c"',
  ';a="b\\"c";d',
  ';',
  ';a=',
  ';a="',
  ' ;a',
  ';=b',
  ';a b',
]

function fieldLines(random: Random): string[] {
  const lines: string[] = []
  for (let count = random.below(5); count > 0; count--) {
    lines.push(
      `${random.pick(names)}:${random.pick(['', ' ', '\t', '  '])}${random.pick(values)}${random.pick(['', ' '])}`,
    )
  }
  if (random.chance(0.15)) lines.push(`Connection: ${random.pick(connections)}`)
  if (random.chance(0.9)) lines.push(`Host: ${random.pick(['a', 'a:80', '', '[::1]'])}`)
  return lines
}

function chunkedBody(random: Random): string {
  let body = ''
  for (let count = random.below(4); count > 0; count--) {
    const data = random.pick(['x', 'hello', '\r\n', '0\r\n\r\n', 'G'.repeat(40)])
    const size = data.length.toString(16)
    const digits = random.pick([size, size.toUpperCase(), `0${size}`, `000${size}`])
    body += `${digits}${random.pick(extensions)}\r\n${data}\r\n`
  }
  const trailers = random.chance(0.3) ? [`${random.pick(names)}: ${random.pick(values)}\r\n`] : []
  return `${body}${random.pick(['0', '00', '000'])}${random.pick(extensions)}\r\n${trailers.join('')}\r\n`
}

/** One request, latin1. */
export function generate(random: Random): string {
  const version = random.chance(0.9) ? 'HTTP/1.1' : 'HTTP/1.0'
  const lines = [`${random.pick(methods)} ${random.pick(targets)} ${version}`, ...fieldLines(random)]
  let body = ''
  const kind = random.below(4)
  if (kind === 1) {
    body = random.pick(['', 'b', 'hello world', 'GET / HTTP/1.1\r\n\r\n'])
    lines.push(`Content-Length: ${random.pick(['', '0'])}${body.length}`)
  } else if (kind >= 2) {
    body = chunkedBody(random)
    lines.push(
      `Transfer-Encoding: ${random.pick(['chunked', 'chunked', 'Chunked', 'CHUNKED', 'gzip, chunked'])}`,
    )
  }
  if (random.chance(0.3)) lines.push(...lines.splice(1, 1))
  return `${random.chance(0.03) ? '\r\n' : ''}${lines.join('\r\n')}\r\n\r\n${body}`
}

/** Seeds from the collections, short ones only; none where they are absent. */
export function corpusSeeds(): string[] {
  if (!corporaPresent()) return []
  return [...llhttpCases(corporaDirectory, 'request'), ...guardianCases(corporaDirectory)]
    .map(({ bytes }) => bytes.toString('latin1'))
    .filter((bytes) => bytes.length < 3_000)
}

/** One of the seeds, where there are any, or a message of our own making. */
export function pickMessage(random: Random, seeds: readonly string[]): string {
  return seeds.length > 0 && random.chance(0.4) ? random.pick(seeds) : generate(random)
}
