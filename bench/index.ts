/** What `millrace bench` calls. */
export { pluginArm } from './arms/core.ts'
export { chooseArms, namedArms } from './arms/named-arms.ts'
export { compareRevisions } from './harness/compare.ts'
export { runSuite } from './harness/run-suite.ts'
export { benchPlugin } from './plugin/run-plugin.ts'
export { history, remakeReports } from './report/remake.ts'
export { writeResults } from './report/write-results.ts'
export { findSuite, suites } from './suites.ts'
