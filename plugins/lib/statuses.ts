import { z } from 'millrace'

/** A range of HTTP statuses, both ends included. */
export interface StatusRange {
  readonly from: number
  readonly to: number
}

const hint = 'expected a status such as 200, a range such as 200-299, or a list of them'
const status = z.number({ error: hint }).int(hint).min(100, hint).max(599, hint)
const text = z.string({ error: hint }).regex(/^[1-5]\d\d(-[1-5]\d\d)?$/, hint)
const entry = z.union([status, text], { error: hint })

function rangeOf(value: number | string): StatusRange {
  const [from, to = from] = String(value).split('-').map(Number)
  return { from, to }
}

/** `200`, `200-299`, or a list of these → ranges. */
export const statuses = z
  .union([entry, z.array(entry).min(1, hint)], { error: hint })
  .transform((value) => (Array.isArray(value) ? value : [value]).map(rangeOf))
  .refine(
    (ranges) => ranges.every(({ from, to }) => from <= to),
    'a range goes from the lower to the higher status',
  )

export function includesStatus(ranges: readonly StatusRange[], status: number): boolean {
  return ranges.some(({ from, to }) => status >= from && status <= to)
}
