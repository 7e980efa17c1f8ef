/** Draws the charts of the report; everything else in the page stands without script. */
import { forestChart } from './forest.js'
import { latencyChart } from './latency.js'
import { timelineChart } from './timeline.js'

/** @import uPlot from 'uplot' */
/** @import { PageData, ScenarioCharts } from '../page-data.ts' */

/** @type {Readonly<Record<string, (box: HTMLElement, data: PageData, scenario: ScenarioCharts) => uPlot>>} */
const charts = {
  forest: forestChart,
  latency: latencyChart,
  timeline: (box, data, scenario) => timelineChart(box, data, scenario.timelines[chosenMetric(box)]),
}

/** @param {HTMLElement} box @returns {HTMLSelectElement | null | undefined} */
const choiceOf = (box) => box.closest('figure')?.querySelector('select')

/** @param {HTMLElement} box */
const chosenMetric = (box) => Number(choiceOf(box)?.value ?? 0)

/** Draws anew when the width, the colours or the choice change. */
function keepDrawn(/** @type {HTMLElement} */ box, /** @type {PageData} */ data) {
  const scenario = data.scenarios[Number(box.dataset.scenario)]
  /** @type {uPlot | undefined} */
  let chart
  let width = 0
  const draw = () => {
    chart?.destroy()
    width = box.clientWidth
    chart = charts[box.dataset.chart ?? ''](box, data, scenario)
  }
  draw()
  new ResizeObserver(() => {
    if (box.clientWidth !== width) draw()
  }).observe(box)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
  choiceOf(box)?.addEventListener('change', draw)
}

const data = JSON.parse(document.getElementById('data')?.textContent ?? '')
for (const box of document.querySelectorAll('[data-chart]')) {
  if (box instanceof HTMLElement) keepDrawn(box, data)
}
