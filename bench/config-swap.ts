/**
 * A large config swapped in under load: `node bench/config-swap.ts [--backends 10000] [--services 100] [--changes 20] [--rate 1000]
 * [--seconds 20] [--threads 1] [--limit 50]`.
 *
 * A real `millrace lb` follows a store in a file; an open loop asks it, with the same load once without changes and once while
 * every weight changes again and again. Prints the quantiles of both, and whether a request took longer than the limit (milliseconds,
 * from its intended start). Exit status 1 when one did, 2 when the driver itself was late so long that nothing can be said.
 *
 * The LB server may use both cores, as it does in use: its main thread, which reads and checks the config, is not to take the data
 * thread's. The driver has the second one as well; whoever writes gets what is left. All of the LB server on one core, with all else
 * that runs here, measures the scheduler: 37 to 102 ms in five runs of the same code.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { encodeConfig } from '../core/config/sync/value.ts'
import type { ConfigStore, RevisionRef } from '../core/contracts/index.ts'
import { openStore } from '../core/host/open-store.ts'
import { builtIn, PluginRegistry } from '../core/host/registry.ts'
import sqlite from '../plugins/config-store/sqlite.ts'
import { Processes } from './arms/processes.ts'
import { freePort, waitUntilReady } from './arms/ready.ts'
import { startDelayBackend } from './harness/delay-backend.ts'
import { OpenLoopDriver } from './harness/open-loop-driver.ts'
import type { OpenLoopResult } from './load/open-loop.ts'
import { asText } from './report/tables.ts'

const defaults = {
  backends: 10_000,
  services: 100,
  changes: 20,
  rate: 1000,
  seconds: 20,
  threads: 1,
  limit: 50,
}
type Settings = typeof defaults

const flags = Object.entries(defaults).map(
  ([name, value]) => [name, { type: 'string', default: String(value) }] as const,
)
const { values } = parseArgs({ options: Object.fromEntries(flags) })
const settings = Object.fromEntries(
  Object.entries(values).map(([name, text]) => [name, Number(text)]),
) as Settings
for (const [name, value] of Object.entries(settings)) {
  if (Number.isFinite(value) && value > 0) continue
  console.error(`--${name}: a number above 0 expected, not "${values[name]}"`)
  process.exit(3)
}
process.exitCode = await measure(settings)

async function measure({
  backends,
  services,
  changes,
  rate,
  seconds,
  threads,
  limit,
}: Settings): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-swap-'))
  const processes = new Processes(directory)
  const stops: (() => unknown)[] = [() => processes.stopAll()]
  try {
    const live = await startDelayBackend(processes, '1', Math.random, {
      ...{ delayMs: 1, sigma: 0, seed: 1, bodyBytes: 64, stallMs: 0, stallAfterMs: 0 },
    })
    const file = join(directory, 'store.db')
    const store = await openSqlite(file, directory)
    stops.unshift(() => store.stop())
    const write = writer(store.store, (mark) => configOf(mark, live.port, { backends, services }))
    await write()
    const [port, admin] = [await freePort(Math.random), await freePort(Math.random)]
    writeFileSync(join(directory, 'millrace.json'), JSON.stringify(localHalf({ file, port, admin, threads })))
    const bin = fileURLToPath(new URL('../cli/bin.js', import.meta.url))
    const command = [process.execPath, bin, 'lb', '-c', join(directory, 'millrace.json')]
    const lb = processes.start('lb', command, { cores: '0,1' })
    await waitUntilReady(lb, `http://127.0.0.1:${port}/`)
    const driver = await OpenLoopDriver.start({ processes, cores: '1' }, { warmupSeconds: 5 })
    const load = (warmupSeconds: number): Promise<OpenLoopResult> =>
      driver.run({
        ...{ url: `http://127.0.0.1:${port}/`, ratePerSecond: rate, seconds, warmupSeconds, seed: 1 },
        ...{ arrivals: 'poisson', connections: 64, patienceMs: 10_000, spin: false },
      })
    console.log(
      `${backends} backends in ${services} services, ${rate} requests/s for ${seconds} s, ${threads} threads`,
    )
    // Who writes is on another machine, as a rule.
    setPriority(constants.priority.PRIORITY_LOW)
    const calm = await load(3)
    const changed = load(1)
    const pause = (seconds * 1000) / changes
    await later(1000 + pause / 2)
    for (let change = 0; change < changes; change++) {
      await write()
      await later(pause * 0.9)
    }
    const busy = await changed
    const applied = await revisionOf(admin)
    return verdict(calm, busy, { limit, applied, written: changes + 1 })
  } finally {
    for (const stop of stops) await stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function openSqlite(file: string, data: string) {
  const registry = new PluginRegistry()
  registry.add(builtIn(sqlite))
  return openStore(
    { use: 'sqlite', options: { path: file }, path: 'store' },
    {
      ...{ registry, fleet: 'default', node: { id: 'writer', boot: 'bench' }, data, random: Math.random },
      log: { debug() {}, info() {}, warn: console.warn, error: console.error },
    },
  )
}

function writer(store: ConfigStore, configAt: (mark: number) => object): () => Promise<void> {
  let head: RevisionRef | null = null
  let mark = 0
  return async () => {
    const id = randomBytes(12).toString('hex')
    const result = await store.put('config', encodeConfig(configAt(++mark)), head, id, { by: 'bench' })
    if (result.status !== 'committed') throw new Error(`the change was not written: ${result.status}`)
    head = result.revision
  }
}

interface Places {
  readonly file: string
  readonly port: number
  readonly admin: number
  readonly threads: number
}

function localHalf({ file, port, admin, threads }: Places): object {
  return {
    node: { id: 'lb', threads, data: './data' },
    admin: { address: `127.0.0.1:${admin}` },
    drain: { delay: '0s', timeout: '5s' },
    listeners: { web: { address: `127.0.0.1:${port}` } },
    store: { use: 'sqlite', path: file },
  }
}

/** The first service has the backend that answers; all others are there to be built. Every weight differs from mark to mark. */
function configOf(
  mark: number,
  port: number,
  { backends, services }: Pick<Settings, 'backends' | 'services'>,
): object {
  const each = Math.floor(backends / services)
  const algorithms = [
    'round-robin',
    'weighted-round-robin',
    'least-connections',
    'power-of-two-choices',
    'peak-ewma',
  ]
  const all = Array.from({ length: services }, (_, service) => {
    const list = Array.from({ length: each }, (_, index) => ({
      url:
        service === 0 && index === 0
          ? `http://127.0.0.1:${port}`
          : `http://127.${1 + (service >> 8)}.${service & 255}.${1 + (index % 250)}:${9000 + Math.floor(index / 250)}`,
      weight: 1 + ((mark + service + index) % 9),
    }))
    const shown = service === 0 ? list.slice(0, 1) : list
    return [
      `service-${service}`,
      { algorithm: algorithms[service % algorithms.length], backends: shown },
    ] as const
  })
  const others = all.slice(1).map(([service]) => ({ match: { path: `/${service}` }, service }))
  return { routes: [{ service: 'service-0' }, ...others], services: Object.fromEntries(all) }
}

async function revisionOf(admin: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${admin}/metrics`)
  const line = (await answer.text())
    .split('\n')
    .find((text) => text.startsWith('millrace_config_store_revision '))
  return Number(line?.split(' ').at(-1) ?? Number.NaN)
}

function verdict(
  calm: OpenLoopResult,
  busy: OpenLoopResult,
  { limit, applied, written }: { readonly limit: number; readonly applied: number; readonly written: number },
): number {
  const row = (name: string, { completed, failed, latency, lag }: OpenLoopResult): string[] => [
    ...[name, String(completed), String(failed)],
    ...[latency.p50, latency.p99, latency.p999, latency.max, lag.max].map((ms) => ms.toFixed(2)),
  ]
  const head = ['', 'requests', 'failed', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'driver late, max ms']
  const rows = [row('no change', calm), row(`${written - 1} changes`, busy)]
  console.log(asText({ title: 'Requests while a config is swapped in', head, rows }))
  if (applied !== written) {
    console.log(`FAIL: revision ${applied} is served, ${written} were written`)
    return 1
  }
  if (busy.failed > 0 || busy.service.max > limit) {
    console.log(
      `FAIL: ${busy.failed} failed, the slowest took ${busy.service.max.toFixed(1)} ms of ${limit} ms from when it was sent`,
    )
    return 1
  }
  if (busy.latency.max > limit) {
    console.log(`too noisy to say: the driver itself was ${busy.lag.max.toFixed(1)} ms late`)
    return 2
  }
  console.log(`PASS: no request took longer than ${busy.latency.max.toFixed(1)} ms (limit ${limit} ms)`)
  return 0
}
