/** The last part of `npm run check`: who imports whom, lengths, and that imports have no effect. */
import path from 'node:path'
import { importOffences } from './rules/imports.ts'
import { effectOffences, functionOffences, lengthOffences } from './rules/shape.ts'
import { readSources } from './rules/source.ts'

const sources = readSources(path.resolve(import.meta.dirname, '..'))
const offences = sources.flatMap((source) => [
  ...importOffences(source),
  ...lengthOffences(source),
  ...functionOffences(source),
  ...effectOffences(source),
])
for (const { file, line, message } of offences) console.error(`${file}:${line} ${message}`)
console.log(
  `${sources.length} files, ${offences.length === 0 ? 'no offences' : `${offences.length} offences`}`,
)
process.exitCode = offences.length === 0 ? 0 : 1
