/** Stable JSON: keys sorted, `undefined` left out. Equal values give equal text; for finding out what has changed. */
export function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, item: unknown) => {
      if (typeof item !== 'object' || item === null || Array.isArray(item)) return item
      const entries = Object.entries(item).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      return Object.fromEntries(entries)
    }) ?? 'undefined'
  )
}
