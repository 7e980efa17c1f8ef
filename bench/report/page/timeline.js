/** A metric of every block against time: whether the machine drifted, and which blocks do not count. */
import uPlot from 'uplot'
import { aligned, armSeries, legend, marks } from './series.js'
import { armStyle, axis, canvasFont, color, figure } from './theme.js'

/** @import { Crossed, PageData, Timeline } from '../page-data.ts' */

/**
 * @param {HTMLElement} box
 * @param {PageData} data
 * @param {Timeline} timeline
 */
export function timelineChart(box, data, { unit, series, crossed }) {
  const abscissae = [
    ...series.flatMap(({ points }) => points.map(([x]) => x)),
    ...crossed.map((c) => c.seconds),
  ]
  const [from, to] = [Math.min(...abscissae), Math.max(...abscissae)]
  const room = Math.max(1, (to - from) * 0.04)
  /** @type {uPlot.Options} */
  const options = {
    width: box.clientWidth,
    height: 320,
    padding: [12, 24, 0, 0],
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, range: [from - room, to + room] }, y: { range: ordinates(series, crossed) } },
    series: [
      { label: 'Started at', value: (_chart, x) => (x === null ? '–' : `${Math.round(x)} s`) },
      ...armSeries(series, data.arms, unit, 1),
    ],
    axes: [
      axis({ label: 'seconds after the start' }),
      axis({ label: unit, size: 58, values: (_chart, splits) => splits.map(figure) }),
    ],
    legend: legend(series),
    hooks: {
      drawSeries: [marks(series, () => true)],
      draw: [
        (chart) =>
          drawCrosses(chart, crossed, (arm) =>
            isShown(
              chart,
              series.findIndex((s) => s.arm === arm),
            ),
          ),
      ],
    },
  }
  return new uPlot(options, withCrossed(series, crossed), box)
}

/** Abscissae of crossed blocks count too, else a chart without any other has none. */
function withCrossed(/** @type {Timeline['series']} */ series, /** @type {Timeline['crossed']} */ crossed) {
  if (series.some(({ points }) => points.length > 0)) return aligned(series)
  const abscissae = crossed.map(({ seconds }) => seconds).sort((a, b) => a - b)
  /** @type {uPlot.AlignedData} */
  const data = [abscissae, ...series.map(() => abscissae.map(() => null))]
  return data
}

/** @param {uPlot} chart @param {number} index of the arm's series, without the abscissa */
function isShown(chart, index) {
  return index < 0 || chart.series[index + 1].show === true
}

/**
 * Blocks that do not count may lie anywhere: they widen the range to three times at most, and stand at its edge beyond.
 * @param {Timeline['series']} series
 * @param {readonly Crossed[]} crossed
 * @returns {[number, number]}
 */
function ordinates(series, crossed) {
  const outside = crossed.flatMap(({ value }) => (value === null ? [] : [value]))
  const counting = series.flatMap(({ points }) => points.map(([, y]) => y))
  const base = counting.length > 0 ? counting : outside
  if (base.length === 0) return [0, 1]
  const [low, high] = [Math.min(...base), Math.max(...base)]
  const span = high - low || Math.abs(high) || 1
  const from = Math.max(Math.min(low, ...outside), low - span)
  const to = Math.min(Math.max(high, ...outside), high + span)
  return [from - span * 0.08, to + span * 0.08]
}

/**
 * @param {uPlot} chart
 * @param {readonly Crossed[]} crossed
 * @param {(arm: number) => boolean} shown
 */
function drawCrosses(chart, crossed, shown) {
  const { ctx, bbox } = chart
  const px = uPlot.pxRatio
  ctx.save()
  ctx.setLineDash([])
  ctx.lineWidth = 2.25 * px
  ctx.font = canvasFont(11, '600')
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  for (const { arm, number, seconds, value } of crossed) {
    if (!shown(arm)) continue
    const bottom = bbox.top + bbox.height - 6 * px
    const x = chart.valToPos(seconds, 'x', true)
    const y =
      value === null
        ? bottom
        : Math.min(bottom, Math.max(bbox.top + 6 * px, chart.valToPos(value, 'y', true)))
    const r = 4.5 * px
    ctx.strokeStyle = armStyle(arm).color
    ctx.beginPath()
    ctx.moveTo(x - r, y - r)
    ctx.lineTo(x + r, y + r)
    ctx.moveTo(x - r, y + r)
    ctx.lineTo(x + r, y - r)
    ctx.stroke()
    ctx.fillStyle = color('ink')
    ctx.fillText(String(number), x + 8 * px, y)
  }
  ctx.restore()
}
