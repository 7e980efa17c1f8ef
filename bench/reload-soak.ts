/**
 * Reloads under load: `node bench/reload-soak.ts [--reloads 1000] [--versions 2|all] [--threads 2] [--rest 30]`.
 *
 * A real `millrace lb` gets another config again and again: other weights, other backends, other plugin code, while clients ask.
 * No request may fail, and nothing may grow. `--versions 2` goes to and fro between two versions of the code; `all` makes
 * each reload a version of its own, after 200 of which a thread is replaced. Prints progress and a verdict; exit status 1
 * when it is bad.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Growth, growths } from './load/growth.ts'
import { startReloadLoad } from './load/reload-load.ts'
import { startReloadTarget } from './load/reload-target.ts'
import { openDescriptors, residentBytes } from './stats/process-tree.ts'
import type { Point } from './stats/slope.ts'

const { values } = parseArgs({
  options: {
    reloads: { type: 'string', default: '1000' },
    versions: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    rest: { type: 'string', default: '30' },
  },
})
const reloads = Number(values.reloads)
/** Milliseconds between two reloads, for the clients. */
const rest = Number(values.rest)
const versions = values.versions === 'all' ? reloads + 1 : Number(values.versions)
if (!(reloads >= 50 && versions >= 1)) {
  console.error(
    'usage: node bench/reload-soak.ts [--reloads 50…] [--versions 2|all] [--threads n] [--rest ms]',
  )
  process.exit(2)
}
process.exitCode = await soak()

async function soak(): Promise<number> {
  await using target = await startReloadTarget(Number(values.threads))
  const load = startReloadLoad(target.port, (stamp) => target.knows(stamp))
  const resident: Point[] = []
  const descriptors: Point[] = []
  const startedAt = performance.now()
  for (let done = 1; done <= reloads; done++) {
    await target.reload(done, done % versions)
    await delay(rest)
    const seconds = (performance.now() - startedAt) / 1000
    resident.push({ seconds, value: residentBytes(target.pid) })
    descriptors.push({ seconds, value: openDescriptors(target.pid) })
    if (done % Math.ceil(reloads / 20) === 0) {
      const mebibytes = (resident.at(-1)!.value / 1024 / 1024).toFixed(0)
      console.log(
        `${done} reloads in ${seconds.toFixed(0)} s, ${load.done} requests, ${load.failures.length} failed, RSS ${mebibytes} MiB, ` +
          `${descriptors.at(-1)!.value} descriptors, ${target.replaced} threads replaced`,
      )
    }
  }
  await load.stop()
  const found = growths(resident, descriptors, await target.log(), versions > 200 ? 200 : versions)
  return verdict(found, load.failures, target.refused, await target.revision())
}

function verdict(
  found: readonly Growth[],
  failures: readonly string[],
  refused: readonly string[],
  revision: number,
): number {
  for (const { name, first, last, allowed, grows } of found) {
    const size = (value: number): string =>
      /bytes/.test(name) ? `${(value / 1024 / 1024).toFixed(1)} MiB` : value.toFixed(0)
    console.log(
      `${grows ? 'GROWS' : 'level'}  ${name}: ${size(first)} → ${size(last)} (allowed: + ${size(allowed)})`,
    )
  }
  for (const line of [...failures.slice(0, 10), ...refused.slice(0, 10)]) console.log(`FAILED  ${line}`)
  // The start is revision 1, and each reload that was applied is one more.
  const applied = revision - 1 >= reloads
  if (!applied) console.log(`FAILED  revision ${revision} after ${reloads} reloads`)
  const good = applied && failures.length + refused.length === 0 && !found.some(({ grows }) => grows)
  console.log(
    good
      ? `PASS: ${reloads} reloads, no failed request, no growth`
      : `FAIL: ${failures.length} failed requests, ${refused.length} refused reloads, ${found.filter(({ grows }) => grows).length} that grow`,
  )
  return good ? 0 : 1
}
