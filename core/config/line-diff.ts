/** A unified diff of two YAML texts. */

interface Edit {
  readonly kind: ' ' | '-' | '+'
  readonly line: string
}

/** Lines around a change. */
const around = 3
/** More differences than this are shown as one removed and one added block: finding the fewest takes time with their square. */
const mostDifferences = 500

/**
 * @returns lines of `diff -u` without the file names; empty when the texts are the same. Each hunk names where in the config it
 * begins, e.g. `@@ -12,7 +12,8 @@ services.api.backends`
 */
export function unifiedDiff(before: string, after: string): string[] {
  if (before === after) return []
  const [a, b] = [linesOf(before), linesOf(after)]
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head++
  let tail = 0
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail++
  const same = (lines: readonly string[]): Edit[] => lines.map((line) => ({ kind: ' ', line }))
  return hunks([
    ...same(a.slice(0, head)),
    ...edits(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...same(a.slice(a.length - tail)),
  ])
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

/** E. Myers, An O(ND) difference algorithm and its variations (1986): the greedy algorithm, with the path kept. */
function edits(a: readonly string[], b: readonly string[]): Edit[] {
  const most = Math.min(a.length + b.length, mostDifferences)
  const reach = new Map<number, number>([[1, 0]])
  const trace: Map<number, number>[] = []
  for (let d = 0; d <= most; d++) {
    trace.push(new Map(reach))
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1))
      let x = down ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0) + 1
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++
      reach.set(k, x)
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace)
    }
  }
  return [...a.map((line): Edit => ({ kind: '-', line })), ...b.map((line): Edit => ({ kind: '+', line }))]
}

function walkBack(a: readonly string[], b: readonly string[], trace: readonly Map<number, number>[]): Edit[] {
  const found: Edit[] = []
  let [x, y] = [a.length, b.length]
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d]
    const k = x - y
    const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1))
    const fromX = reach.get(down ? k + 1 : k - 1) ?? 0
    const fromY = fromX - (down ? k + 1 : k - 1)
    while (x > Math.max(fromX, 0) && y > Math.max(fromY, 0)) {
      found.push({ kind: ' ', line: a[--x] })
      y--
    }
    if (d === 0) break
    if (down) found.push({ kind: '+', line: b[--y] })
    else found.push({ kind: '-', line: a[--x] })
  }
  return found.reverse()
}

function hunks(all: readonly Edit[]): string[] {
  const shown: string[] = []
  const changed = all.flatMap(({ kind }, index) => (kind === ' ' ? [] : [index]))
  for (let at = 0; at < changed.length; ) {
    const start = Math.max(0, changed[at] - around)
    let end = changed[at]
    while (at < changed.length && changed[at] <= end + 2 * around) end = changed[at++]
    const part = all.slice(start, Math.min(all.length, end + around + 1))
    shown.push(
      `@@ -${range(all, start, part, '+')} +${range(all, start, part, '-')} @@${placeOf(all, start)}`,
    )
    for (const { kind, line } of part) shown.push(`${kind}${line}`)
  }
  return shown
}

/** `start,count` of one side: all but what only the other side has. */
function range(all: readonly Edit[], start: number, part: readonly Edit[], without: Edit['kind']): string {
  const ours = (edits: readonly Edit[]): number => edits.filter(({ kind }) => kind !== without).length
  const count = ours(part)
  return `${ours(all.slice(0, start)) + (count === 0 ? 0 : 1)},${count}`
}

/** The keys above a line, outermost first. */
function placeOf(all: readonly Edit[], start: number): string {
  const keys: string[] = []
  let indent = /^ */.exec(all[start].line)![0].length
  for (let at = start - 1; at >= 0 && indent > 0; at--) {
    const { kind, line } = all[at]
    const [, space, dash = '', key] = /^( *)(- )?([^\s#:-][^:]*):(?: |$)/.exec(line) ?? []
    if (kind === '+' || key === undefined || space.length >= indent) continue
    // `- url: x`: the key stands behind the dash, beside those of the lines below.
    if (space.length + dash.length < indent) keys.unshift(key)
    indent = space.length
  }
  return keys.length === 0 ? '' : ` ${keys.join('.')}`
}
