/** YAML text to a document tree with offsets, past the traps of YAML: each trap becomes a problem that says what to
 * quote, is then masked by as many harmless characters, and the rest of the file is still read. */
import { type Document, LineCounter, parseDocument } from 'yaml'

export interface TextProblem {
  readonly code: 'MR_CONFIG_SYNTAX' | 'MR_CONFIG_DUPLICATE'
  readonly message: string
  readonly suggestion?: string
  /** Offsets in the text. */
  readonly start: number
  readonly end: number
}

export interface ParsedText {
  /** undefined when nothing can be read beyond the problems. */
  readonly document: Document.Parsed | undefined
  readonly problems: readonly TextProblem[]
  readonly lines: LineCounter
  /** Ranges that stand for something else than they say; problems in them are consequences. */
  readonly masked: readonly (readonly [start: number, end: number])[]
}

export const tooDeep = 'values are nested too deeply here'

/** More traps than this in one file, and it is probably not a config file at all. */
const mostTraps = 20

const referencePattern = /\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}\n]*)?\}/g
/** Characters of `${NAME:-a,b}` that flow collections would take for their own, and stand-ins for them. */
const shielded = '{},[]'
const standIns = '\ue000\ue001\ue002\ue003\ue004'

/** Lets `{ port: ${PORT} }` be read, without moving an offset. */
export function shield(text: string): string {
  return text.replace(/[^\n]+/g, shieldLine)
}

function shieldLine(line: string): string {
  // Behind the last } no reference ends: to look for one there takes time with the square of the length.
  const end = line.lastIndexOf('}') + 1
  const shieldedPart = line
    .slice(0, end)
    .replace(referencePattern, (reference) =>
      reference.replace(/[{},[\]]/g, (character) => standIns[shielded.indexOf(character)] ?? character),
    )
  return shieldedPart + line.slice(end)
}

export function unshield(text: string): string {
  return text.replace(/[\ue000-\ue004]/g, (character) => shielded[standIns.indexOf(character)] ?? character)
}

export function parseText(source: string): ParsedText {
  const problems: TextProblem[] = []
  const masked: [number, number][] = []
  let text = shield(source)
  for (;;) {
    const lines = new LineCounter()
    const document = parsed(text, lines)
    if (document === undefined) {
      problems.push({ code: 'MR_CONFIG_SYNTAX', message: tooDeep, start: 0, end: 1 })
      return { document, problems, lines, masked }
    }
    const errors = document.errors.filter((error) => error.code !== 'DUPLICATE_KEY')
    const [first] = errors
    if (first === undefined) {
      problems.push(...duplicateKeys(document), ...unknownTags(document))
      return { document, problems, lines, masked }
    }
    const trap = findTrap(text, first.code, first.pos[0])
    problems.push(trap ?? plainProblem(text, first.message, first.pos))
    if (trap === undefined || !trap.maskable || masked.length === mostTraps)
      return { document: undefined, problems, lines, masked }
    masked.push([trap.start, trap.end])
    text = text.slice(0, trap.start) + 'x'.repeat(trap.end - trap.start) + text.slice(trap.end)
  }
}

/** undefined where the nesting is deeper than the stack. */
function parsed(text: string, lineCounter: LineCounter): Document.Parsed | undefined {
  try {
    return parseDocument(text, { lineCounter, prettyErrors: false, merge: true, version: '1.2' })
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function duplicateKeys(document: Document.Parsed): TextProblem[] {
  return document.errors.map(({ pos: [start, end] }) => ({
    code: 'MR_CONFIG_DUPLICATE',
    message: 'this key stands twice in one map',
    start,
    end,
  }))
}

function unknownTags(document: Document.Parsed): TextProblem[] {
  return document.warnings.map(({ message, pos: [start, end] }) => ({
    code: 'MR_CONFIG_SYNTAX',
    message: message.split('\n')[0] ?? message,
    suggestion: 'quote a value that starts with ! or %',
    start,
    end,
  }))
}

function plainProblem(text: string, said: string, pos: readonly [number, number]): TextProblem {
  const message = /call stack/.test(said) ? tooDeep : said
  // At the end of the text there is nothing to underline: step back to the last thing that was written.
  const start = pos[0] >= text.length ? text.trimEnd().length : pos[0]
  return { code: 'MR_CONFIG_SYNTAX', message, start, end: Math.max(start + 1, Math.min(pos[1], text.length)) }
}

interface Trap extends TextProblem {
  readonly maskable: boolean
}

const bracketed = /(?:[a-z]+:\/\/)?\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%\w+)?\](?::\d+)?/g

function findTrap(text: string, code: string, offset: number): Trap | undefined {
  const lineStart = text.lastIndexOf('\n', Math.max(0, offset - 1)) + 1
  const lineEnd = text.indexOf('\n', offset) === -1 ? text.length : text.indexOf('\n', offset)
  const line = text.slice(lineStart, lineEnd)
  const quoteThis = (start: number, end: number, message: string): Trap => ({
    code: 'MR_CONFIG_SYNTAX',
    message,
    suggestion: `quote this: ${JSON.stringify(unshield(text.slice(start, end)))}`,
    start,
    end,
    maskable: true,
  })
  if (code === 'TAB_AS_INDENT' || /^[ ]*\t/.test(line)) {
    const start = lineStart + line.indexOf('\t')
    const message = 'a tab cannot indent YAML'
    return {
      code: 'MR_CONFIG_SYNTAX',
      message,
      suggestion: 'use spaces',
      start,
      end: start + 1,
      maskable: false,
    }
  }
  for (const match of line.matchAll(bracketed)) {
    const start = lineStart + match.index
    if (!insideQuotes(line, match.index))
      return quoteThis(start, start + match[0].length, 'YAML reads [ as the start of a list')
  }
  if (code === 'BAD_SCALAR_START' || code === 'BAD_ALIAS') {
    const end = offset + (/^[^\s,\]}]*/.exec(text.slice(offset, lineEnd))?.[0].length || 1)
    return quoteThis(offset, end, `a value cannot start with ${text[offset] ?? ''} in YAML`)
  }
  if (code === 'BLOCK_AS_IMPLICIT_KEY') {
    const end = lineStart + line.replace(/\s+#.*$/, '').trimEnd().length
    if (end > offset && /:\s/.test(text.slice(offset, end)))
      return quoteThis(offset, end, 'YAML reads a colon and a space as the start of a map')
  }
  return undefined
}

function insideQuotes(line: string, index: number): boolean {
  const before = line.slice(0, index)
  return (before.match(/"/g)?.length ?? 0) % 2 === 1 || (before.match(/'/g)?.length ?? 0) % 2 === 1
}
