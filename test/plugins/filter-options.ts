export { filterOptions } from '../../bench/fixtures/filter-options.ts'
