/** Gauges of a Prometheus text page, each summed over its labels. */
export function parseGauges(text: string): Map<string, number> {
  const gauges = new Set<string>()
  const sums = new Map<string, number>()
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) gauge$/.exec(line)
    if (type !== null) gauges.add(type[1])
    const sample = /^([A-Za-z_:][\w:]*)(?:\{.*\})? (\S+)/.exec(line)
    if (sample === null || !gauges.has(sample[1])) continue
    const value = Number(sample[2])
    if (Number.isFinite(value)) sums.set(sample[1], (sums.get(sample[1]) ?? 0) + value)
  }
  return sums
}
