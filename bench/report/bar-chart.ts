import type { Spread } from '../stats/summary.ts'

export interface Bar {
  readonly label: string
  readonly value: Spread
  readonly ours: boolean
}

/** Bars that share a scale. */
export interface BarGroup {
  readonly title: string
  readonly bars: readonly Bar[]
}

const width = 760
const labelWidth = 190
const barWidth = 420
const barHeight = 20
const gap = 7
const titleHeight = 34

/** Horizontal bars with whiskers from the smallest to the largest round, as a stand-alone SVG. */
export function barChart(title: string, note: string, groups: readonly BarGroup[]): string {
  const parts: string[] = []
  let y = 66
  for (const group of groups) {
    const scale = barWidth / Math.max(...group.bars.map((bar) => bar.value.max))
    parts.push(text(20, y + 14, group.title, 'font-weight="600"'))
    y += titleHeight - 8
    for (const bar of group.bars) {
      parts.push(...drawBar(bar, y, scale))
      y += barHeight + gap
    }
    y += 12
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 6}" width="${width}" height="${y + 6}" ` +
      'font-family="system-ui, sans-serif" font-size="13" fill="#1b1f24">',
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${y + 6}" fill="#ffffff"/>`,
    text(20, 28, title, 'font-size="17" font-weight="700"'),
    text(20, 48, note, 'font-size="12" fill="#59636e"'),
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function drawBar({ label, value, ours }: Bar, y: number, scale: number): string[] {
  const length = Math.max(1, value.median * scale)
  const middle = y + barHeight / 2
  const [from, to] = [labelWidth + value.min * scale, labelWidth + value.max * scale]
  const figure = value.median >= 100 ? value.median.toFixed(0) : value.median.toFixed(1)
  return [
    text(labelWidth - 8, middle + 5, label, 'text-anchor="end"'),
    `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2" ` +
      `fill="${ours ? '#0a7d5a' : '#9aa7b4'}"/>`,
    `<path d="M${from.toFixed(1)} ${middle}H${to.toFixed(1)}M${from.toFixed(1)} ${middle - 4}v8` +
      `M${to.toFixed(1)} ${middle - 4}v8" stroke="#1b1f24" fill="none"/>`,
    text(Math.max(length + labelWidth, to) + 8, middle + 5, figure, ''),
  ]
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeXml(content)}</text>`
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
