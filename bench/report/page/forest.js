/** Differences to the baseline with their intervals, a row a comparison. */
import uPlot from 'uplot'
import { axis, canvasFont, color, drawMark, outcomeStyle } from './theme.js'

/** @import { ForestRow, PageData, ScenarioCharts } from '../page-data.ts' */

/** Narrower, and the texts stand above their interval instead of beside it. In pixels of the page. */
const wideFrom = 940
const figureRoom = 150
const rowHeight = { wide: 30, narrow: 68 }
/** Share of the baseline that a chart may always reach. */
const leastLimit = 0.3

/**
 * @param {HTMLElement} box
 * @param {PageData} _data
 * @param {ScenarioCharts} scenario
 */
export function forestChart(box, _data, { forest }) {
  const width = box.clientWidth
  const wide = width >= wideFrom
  const rows = forest.length
  /** @type {uPlot.Options} */
  const options = {
    width,
    height: rows * rowHeight[wide ? 'wide' : 'narrow'] + 58,
    padding: [8, wide ? figureRoom : 12, 0, wide ? Math.round(width * 0.4) : 12],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: extent(forest) }, y: { range: [-0.5, rows - 0.5] } },
    series: [{}, { paths: () => null, points: { show: false } }],
    axes: [
      axis({
        label: 'difference to the baseline',
        space: 60,
        values: (_chart, splits) =>
          splits.map((share) => `${share < 0 ? '−' : ''}${+Math.abs(share * 100).toFixed(2)} %`),
      }),
      { show: false },
    ],
    hooks: {
      draw: [
        (chart) => {
          for (const [index, row] of forest.entries()) drawRow(chart, row, rows - 1 - index, wide)
        },
      ],
    },
  }
  return new uPlot(
    options,
    [
      [-1, 1],
      [null, null],
    ],
    box,
  )
}

/**
 * As wide as the widest interval, but not so wide that one comparison with another league makes all others a dot.
 * @param {readonly ForestRow[]} rows
 * @returns {[number, number]}
 */
function extent(rows) {
  const sizes = rows.map(({ low, high }) => Math.max(Math.abs(low), Math.abs(high))).sort((a, b) => a - b)
  const limit = Math.max(leastLimit, 1.25 * sizes[Math.floor(rows.length * 0.75)])
  const low = Math.max(-limit, Math.min(...rows.map((row) => Math.min(row.low, -1.5 * row.threshold))))
  const high = Math.min(limit, Math.max(...rows.map((row) => Math.max(row.high, 1.5 * row.threshold))))
  const room = (high - low) * 0.03
  return [low - room, high + room]
}

/**
 * @param {uPlot} chart
 * @param {ForestRow} row
 * @param {number} position ordinate
 * @param {boolean} wide
 */
function drawRow(chart, row, position, wide) {
  const { ctx, bbox } = chart
  const px = uPlot.pxRatio
  const middle = chart.valToPos(position, 'y', true)
  const height = chart.valToPos(position - 0.5, 'y', true) - chart.valToPos(position + 0.5, 'y', true)
  const x = (/** @type {number} */ share) => chart.valToPos(share, 'x', true)
  const y = wide ? middle : middle + 13 * px
  const band = (wide ? height : 22 * px) - 4 * px
  ctx.save()
  const from = Math.max(bbox.left, x(-row.threshold))
  const to = Math.min(bbox.left + bbox.width, x(row.threshold))
  ctx.fillStyle = color('band')
  ctx.fillRect(from, y - band / 2, to - from, band)
  ctx.fillStyle = color('ink')
  ctx.fillRect(x(0) - px / 2, y - band / 2 - 2 * px, px, band + 4 * px)
  drawInterval(chart, row, y)
  drawTexts(chart, row, wide, wide ? y : middle - 24 * px)
  ctx.restore()
}

/**
 * Ends that lie outside of the chart are arrows.
 * @param {uPlot} chart
 * @param {ForestRow} row
 * @param {number} y
 */
function drawInterval({ ctx, bbox, valToPos }, row, y) {
  const px = uPlot.pxRatio
  const style = outcomeStyle(row.outcome)
  const [left, right] = [bbox.left + 2 * px, bbox.left + bbox.width - 2 * px]
  const inside = (/** @type {number} */ share) => Math.min(right, Math.max(left, valToPos(share, 'x', true)))
  const [low, high, middle] = [inside(row.low), inside(row.high), inside(row.median)]
  const cap = 5 * px
  ctx.strokeStyle = style.color
  if (low === high && (low === left || low === right)) {
    drawAway(ctx, low, low === left ? 1 : -1, y)
    return
  }
  ctx.lineWidth = 2.5 * px
  ctx.setLineDash(style.dash.map((length) => length * px))
  ctx.beginPath()
  ctx.moveTo(low, y)
  ctx.lineTo(high, y)
  ctx.stroke()
  ctx.setLineDash([])
  ctx.lineWidth = 1.75 * px
  ctx.beginPath()
  for (const [end, edge, inwards] of [
    [low, left, 1],
    [high, right, -1],
  ]) {
    const tip = end === edge ? cap * inwards : 0
    ctx.moveTo(end + tip, y - cap)
    ctx.lineTo(end, y)
    ctx.lineTo(end + tip, y + cap)
  }
  ctx.stroke()
  if (middle > left && middle < right) drawMark(ctx, style.mark, middle, y, 5 * px, style.color)
}

/**
 * The whole interval lies outside: two arrow heads at that edge.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} edge
 * @param {1 | -1} inwards
 * @param {number} y
 */
function drawAway(ctx, edge, inwards, y) {
  const px = uPlot.pxRatio
  ctx.lineWidth = 2.5 * px
  ctx.beginPath()
  for (const tip of [edge, edge + 7 * px * inwards]) {
    ctx.moveTo(tip + 6 * px * inwards, y - 6 * px)
    ctx.lineTo(tip, y)
    ctx.lineTo(tip + 6 * px * inwards, y + 6 * px)
  }
  ctx.stroke()
}

/**
 * @param {uPlot} chart
 * @param {ForestRow} row
 * @param {boolean} wide
 * @param {number} y of the first line
 */
function drawTexts({ ctx, bbox }, row, wide, y) {
  const px = uPlot.pxRatio
  const right = bbox.left + bbox.width
  const figure = `${row.figure}  ${row.outcome}`
  ctx.textBaseline = 'middle'
  ctx.fillStyle = color(row.outcome)
  ctx.font = canvasFont(12, '600')
  ctx.textAlign = wide ? 'left' : 'right'
  ctx.fillText(figure, wide ? right + 12 * px : right, y)
  ctx.textAlign = wide ? 'right' : 'left'
  ctx.fillStyle = color('ink')
  ctx.font = canvasFont(12)
  if (wide) {
    const text = `${row.metric}  ${row.pair}`
    ctx.fillText(fitted(ctx, text, bbox.left - 20 * px), bbox.left - 12 * px, y)
    return
  }
  const room = bbox.width - ctx.measureText(figure).width - 24 * px
  ctx.fillText(fitted(ctx, row.metric, room), bbox.left, y)
  ctx.fillStyle = color('muted')
  ctx.fillText(fitted(ctx, row.pair, bbox.width), bbox.left, y + 16 * px)
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} room
 */
function fitted(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text
  let length = text.length
  while (length > 1 && ctx.measureText(`${text.slice(0, length)}…`).width > room) length--
  return `${text.slice(0, length)}…`
}
