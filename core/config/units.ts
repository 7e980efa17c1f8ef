/** Units of the config: strings in, numbers out. Every schema here is synchronous and has a plain string (or number)
 * input, so that it works in plugin options and in JSON Schema too. */
import { z } from 'zod'

const durationPattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/
const sizePattern = /^(\d+(?:\.\d+)?)(B|kB|KB|MB|GB|KiB|MiB|GiB)$/
const ratioPattern = /^(\d+(?:\.\d+)?)%$/
const ratePattern = /^(\d+(?:\.\d+)?)\/(s|m|h)$/
const byteRatePattern = /^(\d+(?:\.\d+)?(?:B|kB|KB|MB|GB|KiB|MiB|GiB))\/s$/

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeUnits = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
} as const
const rateUnits = { s: 1, m: 60, h: 3600 } as const

/** What timers of the platform can hold, in milliseconds: a little under 25 days. */
const longestDurationMs = 2 ** 31 - 1

const durationHint = 'expected a duration such as 250ms, 2s or 5m'
const sizeHint = 'expected a size such as 512B, 16KiB or 1MiB, or a number of bytes'
const ratioHint = 'expected a ratio such as 50%, or a number from 0 to 1'
const rateHint = 'expected a rate such as 100/s, 600/m or 1000/h'
const byteRateHint = 'expected a byte rate such as 240B/s or 1KiB/s, or a number of bytes per second'

function scale(text: string, pattern: RegExp, units: Readonly<Record<string, number>>): number {
  const match = pattern.exec(text)
  return match ? Number(match[1]) * units[match[2]] : Number.NaN
}

/** `250ms`, `2s`, `5m`, `1h`, `1d` → milliseconds. At most 2^31 − 1 ms. */
export const duration = z
  .string({ error: durationHint })
  .regex(durationPattern, durationHint)
  .transform((text) => scale(text, durationPattern, durationUnits))
  .refine((ms) => ms <= longestDurationMs, 'a duration is at most 24d')

/** As {@link duration}, and longer than zero. */
export const positiveDuration = duration.refine((ms) => ms > 0, 'this duration must be longer than 0s')

const bytes = z.int({ error: sizeHint }).min(0, sizeHint)

/** `16KiB`, `1MB`, `512B`, or a number of bytes → bytes. */
export const size = z.union(
  [
    bytes,
    z
      .string()
      .regex(sizePattern, sizeHint)
      .transform((text) => Math.round(scale(text, sizePattern, sizeUnits))),
  ],
  { error: sizeHint },
)

/** `50%`, or a number from 0 to 1 → 0..1. */
export const ratio = z.union(
  [
    z.number().min(0, ratioHint).max(1, ratioHint),
    z
      .string()
      .regex(ratioPattern, ratioHint)
      .transform((text) => Number(ratioPattern.exec(text)?.[1]) / 100)
      .refine((share) => share <= 1, 'a ratio is at most 100%'),
  ],
  { error: ratioHint },
)

/** `100/s`, `600/m`, `1000/h` → events per second. */
export const rate = z
  .string({ error: rateHint })
  .regex(ratePattern, rateHint)
  .transform((text) => {
    const match = ratePattern.exec(text)
    return match ? Number(match[1]) / rateUnits[match[2] as keyof typeof rateUnits] : Number.NaN
  })

/** `240B/s`, `1KiB/s`, or a number of bytes per second → bytes per second. */
export const byteRate = z.union(
  [
    z.int().min(0, byteRateHint),
    z
      .string()
      .regex(byteRatePattern, byteRateHint)
      .transform((text) => Math.round(scale(text.slice(0, -2), sizePattern, sizeUnits))),
  ],
  { error: byteRateHint },
)
