/** Which files are the tests of a plugin. */
import { existsSync, globSync, statSync } from 'node:fs'
import path from 'node:path'
import { UsageError } from '../failure.ts'

const endings = ['ts', 'mts', 'js', 'mjs']
export const testFile = /\.test\.(?:ts|mts|js|mjs)$/

/** The tests of a folder, or the one that is named, by itself or by the plugin beside it. @throws UsageError */
export function testFiles(place: string): string[] {
  if (!existsSync(place)) throw new UsageError(`there is no ${place}`)
  if (statSync(place).isDirectory()) {
    const found = globSync(`**/*.test.{${endings.join(',')}}`, { cwd: place, exclude: isForeign })
    if (found.length === 0)
      throw new UsageError(
        `no test in ${place}: expected a file such as my-plugin.test.ts, or src/my-plugin.test.ts`,
      )
    return found.sort().map((file) => path.join(place, file))
  }
  if (testFile.test(place)) return [place]
  const stem = place.slice(0, -path.extname(place).length)
  const beside = endings.map((ending) => `${stem}.test.${ending}`).find((file) => existsSync(file))
  if (beside === undefined) throw new UsageError(`no test of ${place}: expected ${stem}.test.ts beside it`)
  return [beside]
}

const isForeign = (file: string): boolean => /(?:^|[/\\])(?:node_modules|dist|\..+)$/.test(file)
