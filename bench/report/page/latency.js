/** Latency by quantile, each nine with the same room. */
import uPlot from 'uplot'
import { aligned, armSeries, legend, marks } from './series.js'
import { axis, figure } from './theme.js'

/** @import { PageData, ScenarioCharts } from '../page-data.ts' */

/** 1 / (1 − quantile): 50 %, 90 %, 99 % … */
const labelled = [2, 10, 100, 1000, 10_000, 100_000]
/** Largest by smallest value from which the ordinate is logarithmic. */
const logarithmicFrom = 20

/** @param {number} inverse 1 / (1 − quantile) */
function quantileLabel(inverse) {
  const digits =
    Math.max(0, Math.ceil(Math.log10(inverse) - 1e-9) - 2) + (inverse < 100 && inverse > 10.1 ? 1 : 0)
  return `${Number((100 - 100 / inverse).toFixed(digits))} %`
}

/**
 * 0.1, 0.2, 0.5, 1 … between two values.
 * @param {number} from
 * @param {number} to
 */
function oneTwoFive(from, to) {
  const found = []
  for (let decade = Math.floor(Math.log10(from)); 10 ** decade <= to; decade++) {
    for (const step of [1, 2, 5]) found.push(Number((step * 10 ** decade).toPrecision(3)))
  }
  return found.filter((value) => value >= from && value <= to)
}

/**
 * @param {HTMLElement} box
 * @param {PageData} data
 * @param {ScenarioCharts} scenario
 */
export function latencyChart(box, data, { curves }) {
  const values = curves.flatMap(({ points }) => points.map(([, ms]) => ms)).filter((ms) => ms > 0)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const logarithmic = high / low > logarithmicFrom
  const last = Math.max(...curves.flatMap(({ points }) => points.map(([inverse]) => inverse)))
  /** @type {uPlot.Options} */
  const options = {
    width: box.clientWidth,
    height: 320,
    padding: [12, 24, 0, 0],
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { time: false, distr: 3, range: [1, Math.max(10, last) * 1.1] },
      y: logarithmic ? { distr: 3, range: [low / 1.3, high * 1.3] } : { range: [0, high * 1.08] },
    },
    series: [
      { label: 'Quantile', value: (_chart, x) => (x === null ? '–' : quantileLabel(x)) },
      ...armSeries(curves, data.arms, 'ms', 2),
    ],
    axes: [
      axis({
        splits: () => labelled.filter((inverse) => inverse <= Math.max(10, last) * 1.1),
        filter: (_chart, splits) => splits,
        values: (_chart, splits) => splits.map(quantileLabel),
      }),
      axis({
        label: logarithmic ? 'ms, logarithmic' : 'ms',
        size: 52,
        ...(logarithmic && {
          splits: () => oneTwoFive(low / 1.3, high * 1.3),
          filter: (_chart, splits) => splits,
        }),
        values: (_chart, splits) => splits.map((ms) => (ms === null ? '' : figure(ms))),
      }),
    ],
    legend: legend(curves),
    hooks: { drawSeries: [marks(curves, (x) => labelled.some((nine) => Math.abs(x / nine - 1) < 0.01))] },
  }
  return new uPlot(options, aligned(curves), box)
}
