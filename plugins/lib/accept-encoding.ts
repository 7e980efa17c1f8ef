/**
 * The coding of ours that a client likes best (RFC 9110 §12.5.3); of equals the first of ours.
 *
 * @param accept value of Accept-Encoding, undefined where there is none: then nothing but identity is sure to be understood
 * @param codings what can be made, best first
 * @returns undefined: send it as it is
 */
export function chooseCoding<C extends string>(
  accept: string | undefined,
  codings: readonly C[],
): C | undefined {
  if (accept === undefined) return undefined
  const weights = new Map<string, number>()
  for (const part of accept.split(',')) {
    const [name, ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
    if (name === '') continue
    const weight = parameters.find((text) => text.startsWith('q='))?.slice(2) ?? '1'
    // RFC 9110 §12.4.2; what is no weight is no wish either.
    weights.set(
      name === 'x-gzip' ? 'gzip' : name,
      /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0,
    )
  }
  let best: C | undefined
  let most = 0
  for (const coding of codings) {
    const weight = weights.get(coding) ?? weights.get('*') ?? 0
    if (weight > most) {
      best = coding
      most = weight
    }
  }
  // Who likes it better as it is, says so.
  return (weights.get('identity') ?? 0) > most ? undefined : best
}
