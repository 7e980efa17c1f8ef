/** Byte classes of RFC 9110 §5.5–5.6 and RFC 9112, as lookup tables (1 = member). Built once, never written again. */

function table(accept: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (accept(byte) ? 1 : 0))
}

const letter = (byte: number): boolean => (byte | 32) >= 97 && (byte | 32) <= 122
const digit = (byte: number): boolean => byte >= 48 && byte <= 57
const oneOf = (set: string) => {
  const codes = new Set([...set].map((c) => c.charCodeAt(0)))
  return (byte: number): boolean => codes.has(byte)
}
const tokenMarks = oneOf("!#$%&'*+-.^_`|~")
const hostMarks = oneOf("-._~!$&'()*+,;=%")

/** RFC 9110 §5.6.2 `tchar`. */
export const isToken = table((b) => letter(b) || digit(b) || tokenMarks(b))

/** RFC 9110 §5.5 field-vchar, obs-text, SP and HTAB. */
export const isFieldValue = table((b) => b === 9 || (b >= 32 && b !== 127))

/** Visible ASCII without `#`: real clients also send `"<>[]{}|\^` and backtick in targets. */
export const isTarget = table((b) => b > 32 && b < 127 && b !== 35)

/** RFC 3986 reg-name characters (`%` is taken as it is). */
export const isHostName = table((b) => letter(b) || digit(b) || hostMarks(b))

/** Inside the brackets of an IP literal. */
export const isIpLiteral = table((b) => letter(b) || digit(b) || b === 58 || b === 46)

/** Value of a hex digit, 255 for all other bytes. */
export const hexValue = Uint8Array.from({ length: 256 }, (_, b) =>
  digit(b) ? b - 48 : (b | 32) >= 97 && (b | 32) <= 102 ? (b | 32) - 87 : 255,
)
