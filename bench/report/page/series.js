/** What latency curves and timelines share: several arms over one abscissa. */
import uPlot from 'uplot'
import { armStyle, drawMark } from './theme.js'

/** @import { Series } from '../page-data.ts' */

/**
 * uPlot wants one abscissa for all: the union, with null where an arm has nothing.
 * @param {readonly Series[]} series
 * @returns {uPlot.AlignedData}
 */
export function aligned(series) {
  const abscissae = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b)
  const columns = series.map(({ points }) => {
    const values = new Map(points.map(([x, y]) => [x, y]))
    return abscissae.map((x) => values.get(x) ?? null)
  })
  return [abscissae, ...columns]
}

/**
 * @param {readonly Series[]} series
 * @param {readonly string[]} arms titles
 * @param {string} unit
 * @param {number} width of the lines
 * @returns {uPlot.Series[]}
 */
export function armSeries(series, arms, unit, width) {
  return series.map(({ arm }) => {
    const style = armStyle(arm)
    return {
      label: `${style.glyph} ${arms[arm]}`,
      stroke: style.color,
      dash: style.dash,
      width,
      spanGaps: true,
      points: { show: false },
      value: (_chart, value) => (value === null ? '–' : `${Number(value.toPrecision(3))} ${unit}`),
    }
  })
}

/** Legend swatches with the dash of the line. @returns {uPlot.Legend} */
export function legend(/** @type {readonly Series[]} */ series) {
  const of = (/** @type {number} */ index) => armStyle(series[index - 1].arm)
  return {
    markers: {
      width: 3,
      stroke: (_chart, index) => of(index).color,
      fill: () => 'transparent',
      dash: (_chart, index) => of(index).border,
    },
  }
}

/**
 * Draws an arm's mark at its points.
 * @param {readonly Series[]} series
 * @param {(x: number) => boolean} wanted which abscissae
 * @returns {(chart: uPlot, index: number) => void}
 */
export function marks(series, wanted) {
  return (chart, index) => {
    if (index === 0 || !chart.series[index].show) return
    const { arm, points } = series[index - 1]
    const style = armStyle(arm)
    for (const [x, y] of points) {
      if (!wanted(x)) continue
      const [left, top] = [chart.valToPos(x, 'x', true), chart.valToPos(y, 'y', true)]
      drawMark(chart.ctx, style.mark, left, top, 3.5 * uPlot.pxRatio, style.color)
    }
  }
}
