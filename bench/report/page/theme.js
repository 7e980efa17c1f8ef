/** Colours, dashes and marks: an arm is told by all three, so that it is known without colour too. */
import uPlot from 'uplot'

/** @import { Outcome } from '../../stats/blocks.ts' */

const colors = 8
const dashes = [[], [9, 4], [2, 3], [10, 3, 2, 3], [5, 3], [14, 4], [2, 6], [6, 2, 1, 2]]
const borders = ['solid', 'dashed', 'dotted', 'dashed', 'dashed', 'dashed', 'dotted', 'dashed']

/** @typedef {'circle' | 'square' | 'diamond' | 'triangle' | 'ring' | 'box' | 'plus' | 'bar'} Mark */

/** @type {readonly Mark[]} */
const armMarks = ['circle', 'square', 'triangle', 'diamond', 'ring', 'box', 'plus', 'bar']
const glyphs = ['●', '■', '▲', '◆', '○', '□', '✚', '▬']

/** @type {Readonly<Record<Outcome, Mark>>} */
const outcomeMarks = { worse: 'square', better: 'circle', same: 'diamond', unclear: 'ring' }

/** @param {string} name of a custom property of style.css, without its dashes */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}

/**
 * @param {number} arm index
 * @returns {{ color: string, dash: number[], border: string, mark: Mark, glyph: string }}
 */
export function armStyle(arm) {
  const turn = arm % colors
  const dash = dashes[turn]
  return {
    color: color(`arm-${turn}`),
    dash,
    border: borders[turn],
    mark: armMarks[turn],
    glyph: glyphs[turn],
  }
}

/** @param {Outcome} outcome */
export function outcomeStyle(outcome) {
  return { color: color(outcome), mark: outcomeMarks[outcome], dash: outcome === 'unclear' ? [5, 4] : [] }
}

/**
 * @param {number} px of the page
 * @param {string} weight
 */
export function canvasFont(px, weight = 'normal') {
  return `${weight} ${px * uPlot.pxRatio}px system-ui, sans-serif`
}

/**
 * A mark around (x, y); all in pixels of the canvas.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Mark} mark
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 * @param {string} paint
 */
export function drawMark(ctx, mark, x, y, radius, paint) {
  ctx.save()
  ctx.setLineDash([])
  ctx.fillStyle = mark === 'ring' || mark === 'box' ? color('paper') : paint
  ctx.strokeStyle = paint
  ctx.lineWidth = 1.75 * uPlot.pxRatio
  ctx.beginPath()
  trace(ctx, mark, x, y, radius)
  ctx.fill()
  ctx.stroke()
  ctx.restore()
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Mark} mark
 * @param {number} x
 * @param {number} y
 * @param {number} r
 */
function trace(ctx, mark, x, y, r) {
  if (mark === 'circle' || mark === 'ring') ctx.arc(x, y, r, 0, 2 * Math.PI)
  else if (mark === 'square' || mark === 'box') ctx.rect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7)
  else if (mark === 'bar') ctx.rect(x - r * 1.2, y - r * 0.35, r * 2.4, r * 0.7)
  else if (mark === 'plus') {
    ctx.rect(x - r, y - r * 0.2, r * 2, r * 0.4)
    ctx.rect(x - r * 0.2, y - r, r * 0.4, r * 2)
  } else {
    const corners = mark === 'triangle' ? [0, 120, 240] : [0, 90, 180, 270]
    for (const [index, degrees] of corners.entries()) {
      const angle = ((degrees - 90) * Math.PI) / 180
      const [cornerX, cornerY] = [x + 1.2 * r * Math.cos(angle), y + 1.2 * r * Math.sin(angle)]
      if (index === 0) ctx.moveTo(cornerX, cornerY)
      else ctx.lineTo(cornerX, cornerY)
    }
    ctx.closePath()
  }
}

/**
 * An axis in the page's colours.
 * @param {uPlot.Axis} own
 * @returns {uPlot.Axis}
 */
export function axis(own) {
  const line = { stroke: color('line'), width: 1 }
  const font = '12px system-ui, sans-serif'
  return { stroke: color('muted'), font, labelFont: font, labelSize: 18, grid: line, ticks: line, ...own }
}

/** @param {number} value */
export function figure(value) {
  return String(Number(value.toPrecision(3)))
}
