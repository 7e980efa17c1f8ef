/** Tables of the terminal. */

/**
 * Lines of a table: each column as wide as its widest cell.
 * @param widest characters that a column is made wide for at most; longer cells stick out
 */
export function columns(rows: readonly (readonly string[])[], widest = Number.POSITIVE_INFINITY): string[] {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => Math.min(row[at].length, widest))),
  )
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]))
      .join('  ')
      .trimEnd(),
  )
}
