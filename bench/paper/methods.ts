/** The hashing methods that are compared: always the plugin itself, asked for each entry of the lookup table in turn. */
import type { Backend, PickRequest, PluginDefinition } from 'millrace'
import { hashString } from '../../plugins/lib/hash.ts'
import { builtin, parsed } from '../fixtures/builtin.ts'
import { threadContext } from '../fixtures/context.ts'
import { FakeView } from '../fixtures/view.ts'

/** "Views" of a backend in the paper: points on the ring. */
export const paperPoints = 1000

export interface Method {
  readonly name: string
  readonly title: string
  readonly plugin: 'maglev' | 'ring-hash' | 'rendezvous'
  options(entries: number): object
  /** The hash of the key that stands for an entry. */
  hash(entry: number, entries: number): number
  /** Failed backends stay in the table and are walked past, as Millrace does with what is down; else it is built without them. */
  readonly keepsTable: boolean
}

/** As the hash of a real key: spread over all 32 bits. */
const hashed = (entry: number): number => hashString(`entry-${entry}`, 0) >>> 0
/** The table as the ring itself, cut into as many equal pieces. */
const spaced = (entry: number, entries: number): number => Math.floor((entry / entries) * 2 ** 32)

const maglev = {
  plugin: 'maglev',
  options: (entries: number) => ({ tableSize: entries }),
  // The plugin takes the hash modulo the size of its table.
  hash: (entry: number) => entry,
} as const

const ring = (points: number) => ({ plugin: 'ring-hash', options: () => ({ points }) }) as const

export const methods: readonly Method[] = [
  { name: 'maglev', title: 'Maglev', ...maglev, keepsTable: false },
  { name: 'maglev-kept', title: 'Maglev, table kept', ...maglev, keepsTable: true },
  {
    name: 'ring',
    title: `Ring, ${paperPoints} points`,
    ...ring(paperPoints),
    hash: hashed,
    keepsTable: false,
  },
  {
    name: 'ring-spaced',
    title: `Ring, ${paperPoints} points, spaced`,
    ...ring(paperPoints),
    hash: spaced,
    keepsTable: false,
  },
  {
    name: 'ring-default',
    title: 'Ring, 160 points (default)',
    ...ring(160),
    hash: hashed,
    keepsTable: false,
  },
  {
    name: 'rendezvous',
    title: 'Rendezvous',
    plugin: 'rendezvous',
    options: () => ({}),
    hash: hashed,
    keepsTable: false,
  },
]

export function hashesOf(method: Method, entries: number): Uint32Array {
  return Uint32Array.from({ length: entries }, (_, entry) => method.hash(entry, entries))
}

class EntryRequest implements PickRequest {
  hash = 0
  excluded(): boolean {
    return false
  }
}

export interface Populated {
  /** `slot` of the backend of each entry. */
  readonly table: Uint32Array
  /** What building the plugin's own table took, if it has one. */
  readonly buildMs: number | undefined
}

/**
 * @param hashes of the entries
 * @param failed slots of those that are not there
 */
export async function populate(
  method: Method,
  backends: readonly Backend[],
  hashes: Uint32Array,
  failed: ReadonlySet<number> = new Set(),
): Promise<Populated> {
  const plugin: PluginDefinition<'algorithm'> = builtin('algorithm', method.plugin)
  const options = parsed(plugin, method.options(hashes.length))
  const alive = backends.filter(({ slot }) => !failed.has(slot))
  const all = method.keepsTable ? backends : alive
  const started = performance.now()
  const built = plugin.buildTable?.(all, options)
  const buildMs = built === undefined ? undefined : performance.now() - started
  const algorithm = await plugin.create(threadContext(), options)
  algorithm.update(new FakeView(all, alive, built))
  const request = new EntryRequest()
  const table = new Uint32Array(hashes.length)
  for (let entry = 0; entry < hashes.length; entry++) {
    request.hash = hashes[entry]
    const picked = algorithm.pick(request)
    if (picked === undefined) throw new Error(`${method.plugin} picked nobody for entry ${entry}`)
    table[entry] = picked.slot
  }
  return { table, buildMs }
}
