/** Reads http-desync-guardian's YAML tests: request heads with a verdict. A Host and a fitting body are added. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export type Tier = 'Severe' | 'Ambiguous' | 'Acceptable' | 'Compliant'

export interface GuardianCase {
  /** `severe.yaml: Bad method`. */
  readonly name: string
  readonly tier: Tier
  readonly method: string
  readonly bytes: Buffer
}

interface Entry {
  readonly name: string
  readonly uri: string
  readonly method: string
  readonly version: string
  readonly headers: readonly { readonly name: string; readonly value: string | number }[] | null
  readonly expected: { readonly tier: Tier }
}

/** What the sender means by its framing fields, read leniently: the body that fits the head as it stands. */
function fittingBody(headers: readonly { name: string; value: string | number }[]): string {
  const coded = headers.some(
    ({ name, value }) => /transfer.?-*.?encoding/i.test(name) && /chunked/i.test(`${value}`),
  )
  if (coded) return '5\r\nhello\r\n0\r\n\r\n'
  const length = headers.find(({ name }) => name.trim().toLowerCase() === 'content-length')
  const count = Number.parseInt(`${length?.value ?? 0}`, 10)
  // Bodies of megabytes prove no more than bodies of kilobytes, except where the length itself is the case.
  return Number.isSafeInteger(count) && count > 0 && count <= 5_000_000 ? 'b'.repeat(count) : ''
}

/** YAML's `\xNN` above 0x7f stands for that byte; other characters beyond latin1 are UTF-8. */
function encode(text: string): string {
  let bytes = ''
  for (const char of text)
    bytes += char.codePointAt(0)! <= 0xff ? char : Buffer.from(char, 'utf8').toString('latin1')
  return bytes
}

export function guardianCases(directory: string): GuardianCase[] {
  const folder = join(directory, 'http-desync-guardian')
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .flatMap((file) =>
      (parse(readFileSync(join(folder, file), 'utf8')) as Entry[]).map((entry) => {
        const headers = entry.headers ?? []
        const lines = headers.map(({ name, value }) => `${name}: ${value}\r\n`)
        if (!headers.some(({ name }) => name.toLowerCase() === 'host')) lines.unshift('Host: localhost\r\n')
        const start = [entry.method, entry.uri, entry.version].join(' ').trimEnd()
        const startLine = entry.version === '' ? start : `${entry.method} ${entry.uri} ${entry.version}`
        const head = `${startLine}\r\n${lines.join('')}\r\n`
        return {
          name: `${file}: ${entry.name}`,
          tier: entry.expected.tier,
          method: entry.method,
          bytes: Buffer.from(encode(head) + fittingBody(headers), 'latin1'),
        }
      }),
    )
}
