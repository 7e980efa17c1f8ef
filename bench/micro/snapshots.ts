/** What a change of the config costs with 10,000 backends, step by step; and Maglev's table, which is built in between. */
import type { Member, PluginDefinition } from 'millrace'
import { loadConfig } from '../../core/config/load.ts'
import { normaliseSnapshot } from '../../core/config/normalise.ts'
import { PemFiles } from '../../core/config/pem-files.ts'
import { type FileConfig, fileSchema } from '../../core/config/schema.ts'
import type { Snapshot } from '../../core/config/snapshot.ts'
import { DataPlane } from '../../core/proxy/data-plane.ts'
import type { ThreadSnapshot } from '../../core/proxy/thread-snapshot.ts'
import maglev from '../../plugins/algorithm/maglev.ts'
import { parsed } from '../fixtures/builtin.ts'
import type { MicroCase, Running } from './case.ts'
import { planeDeps } from './plane-deps.ts'

const backends = 10_000

/** What a file says after YAML; `edit` is the weight of one backend. */
function fileData(edit: number, size = backends): unknown {
  const urls: unknown[] = Array.from(
    { length: size },
    (_, index) => `http://10.1.${index >> 8}.${index & 255}:8080`,
  )
  urls[size >> 1] = { url: urls[size >> 1], weight: edit }
  return {
    listeners: { web: { address: '127.0.0.1:8080' } },
    routes: [{ service: 'app' }],
    services: { app: { backends: urls } },
  }
}

/** Two files that differ in one weight take turns everywhere. */
const edits = [2, 3]

function snapshotOf(file: FileConfig): Snapshot {
  return normaliseSnapshot(file, {
    directory: '/',
    pems: new PemFiles('/'),
    plugins: [],
    tokens: [],
    threads: 1,
  })
}

function checking(): Running {
  const data = edits.map((edit) => fileData(edit))
  return { run: (index) => fileSchema.parse(data[index & 1]) }
}

function normalising(): Running {
  const files = edits.map((edit) => fileSchema.parse(fileData(edit)))
  return { run: (index) => snapshotOf(files[index & 1]) }
}

/** The whole way from the text of a file. */
function loading(): Running {
  const texts = edits.map((edit) => JSON.stringify(fileData(edit), undefined, 2))
  const source = { name: 'micro.json', directory: '/' }
  return { run: (index) => loadConfig({ ...source, text: texts[index & 1] }, { env: {}, threads: 1 }) }
}

/** As the main thread places them, without listeners: those would be sockets. */
function threadSnapshots(size = backends): Omit<ThreadSnapshot, 'revision'>[] {
  const slots = Array.from({ length: size }, (_, index) => index)
  return edits.map((edit) => {
    const snapshot = snapshotOf(fileSchema.parse(fileData(edit, size)))
    const placement = { index: 0, slots, table: undefined }
    const services = new Map([['app', { config: snapshot.services.app, placement }]])
    return { ...snapshot, services, listeners: [], ports: {} }
  })
}

/** What is posted to each data thread. */
function cloning(): Running {
  const snapshots = threadSnapshots()
  return { run: (index) => structuredClone(snapshots[index & 1].services) }
}

/** A data plane goes from one snapshot to the other; only one of the two steps counts. */
async function swapping(step: 'prepare' | 'commit', size: number): Promise<Running> {
  const plane = new DataPlane(planeDeps(size))
  const snapshots = threadSnapshots(size)
  let revision = 0
  const swap = async (): Promise<unknown> => {
    const snapshot = { ...snapshots[++revision & 1], revision }
    const started = performance.now()
    const prepared = await plane.prepare(snapshot)
    const between = performance.now()
    plane.commit(prepared)
    const ended = performance.now()
    return { overriddenDuration: step === 'prepare' ? between - started : ended - between }
  }
  // The first one makes every backend; a reload finds them there.
  await swap()
  return { run: swap, close: () => plane.destroy() }
}

const steps: readonly [name: string, prepare: () => Running | Promise<Running>][] = [
  ['text to snapshot, all of it', loading],
  ['check by the schema', checking],
  ['normalise', normalising],
  ['structured clone', cloning],
]

/** Two, as a step that grows faster than the service shows by their ratio. */
const swapSizes = [1000, backends]

const tableSizes = [10, 100, 1000, 10_000]

function buildingTable(size: number): Running {
  const plugin = maglev as unknown as PluginDefinition<'algorithm'>
  const options = parsed(plugin, {})
  const memberLists = Array.from({ length: 4 }, (_, list) =>
    Array.from({ length: size }, (_, index): Member => {
      const url = `http://10.${list}.${index >> 8}.${index & 255}:8080`
      return { url, weight: 1 + ((index + list) % 3), zone: '', tags: [] }
    }),
  )
  return { run: (index) => plugin.buildTable?.(memberLists[index & 3], options) }
}

export const snapshots: readonly MicroCase[] = [
  ...steps.map(([name, prepare]) => ({
    group: 'snapshots' as const,
    subject: 'config',
    name,
    size: backends,
    calls: 1,
    prepare,
  })),
  ...(['prepare', 'commit'] as const).flatMap((step) =>
    swapSizes.map((size) => ({
      group: 'snapshots' as const,
      subject: 'data plane',
      name: step,
      size,
      calls: 1,
      prepare: () => swapping(step, size),
    })),
  ),
  ...tableSizes.map((size) => ({
    group: 'snapshots' as const,
    subject: 'maglev',
    name: 'table build',
    size,
    calls: 1,
    prepare: () => buildingTable(size),
  })),
]
