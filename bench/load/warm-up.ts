/**
 * How long the parts of a closed warm-up take, in seconds; connections end after each. What happens only where connections end is
 * otherwise new to V8 when the warm-up's do: it then throws away what it had optimised, and compiles it anew in what is
 * measured (docs/decisions/0007).
 * @param seconds of the whole; wrk knows whole ones, and up to one is too little for two parts
 */
export function warmupParts(seconds: number): readonly number[] {
  const whole = Math.ceil(seconds)
  const first = Math.floor(whole / 2)
  return first === 0 ? [whole] : [first, whole - first]
}
