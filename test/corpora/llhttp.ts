/** Reads llhttp's Markdown tests: `http` blocks with a `meta` comment before and a `log` block behind. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface LlhttpCase {
  /** `request/uri.md: Fragment in URI`. */
  readonly name: string
  readonly type: string
  readonly bytes: Buffer
  /** Code of the error that the strict parser raises; undefined: it raises none. */
  readonly error: number | undefined
  /** Messages that are complete before the error, or in all. */
  readonly complete: number
}

/** Codes that are no refusal: data after `Connection: close` (5), pauses for CONNECT or upgrades (22, 23). */
const notRefused = new Set([5, 22, 23])

/** Newlines are CRLF, the last one is not part of the block, `\` at the end of a line joins, escapes are written out. */
function blockBytes(block: string): Buffer {
  const bytes = Buffer.from(block, 'utf8')
    .toString('latin1')
    .replace(/\n$/, '')
    .replace(/\\\n/g, '')
    .replace(/\n/g, '\r\n')
    .replace(/\\r/g, '\r')
    .replace(/\\n/g, '\n')
    .replace(/\\t/g, '\t')
    .replace(/\\f/g, '\f')
    .replace(/\\x([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1')
}

function readFile(path: string, label: string): LlhttpCase[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  const cases: LlhttpCase[] = []
  let title = ''
  let type = ''
  let bytes: Buffer | undefined
  for (let i = 0; i < lines.length; i++) {
    const heading = /^#+ (.*)$/.exec(lines[i])
    const meta = /^<!-- meta=(\{.*\}) -->$/.exec(lines[i])
    if (heading !== null) title = heading[1]
    else if (meta !== null) type = (JSON.parse(meta[1]) as { type: string }).type
    else if (lines[i] === '```http' || lines[i] === '```log') {
      const end = lines.indexOf('```', i + 1)
      const block = lines.slice(i + 1, end).map((line) => `${line}\n`)
      if (lines[i] === '```http') bytes = blockBytes(block.join(''))
      else if (bytes !== undefined) {
        const log = block.join('')
        const code = /error code=(\d+)/.exec(log)
        const error = code === null || notRefused.has(Number(code[1])) ? undefined : Number(code[1])
        const complete = log.match(/message complete/g)?.length ?? 0
        cases.push({ name: `${label}: ${title}`, type, bytes, error, complete })
        bytes = undefined
      }
      i = end
    }
  }
  return cases
}

/** Cases whose meta type is exactly `kind`, in the order of the files. */
export function llhttpCases(directory: string, kind: 'request' | 'response'): LlhttpCase[] {
  const folder = join(directory, 'llhttp', kind)
  return readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .sort()
    .flatMap((file) => readFile(join(folder, file), `${kind}/${file}`))
    .filter(({ type }) => type === kind)
}
