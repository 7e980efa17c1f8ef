export { chiSquare, chiSquareLimit } from '../conformance/statistics.ts'
