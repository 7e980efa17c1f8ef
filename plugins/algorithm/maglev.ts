import {
  type Algorithm,
  type Backend,
  type BackendView,
  definePlugin,
  type Member,
  type PickRequest,
  z,
} from 'millrace'
import { hashString, mix32 } from '../lib/hash.ts'
import { TableView, weightUnit } from '../lib/table-view.ts'

function isPrime(candidate: number): boolean {
  for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) return false
  return candidate > 1
}

const options = z.strictObject({
  tableSize: z
    .number()
    .int()
    .min(251)
    .max(5_000_011)
    .refine(isPrime, 'tableSize must be a prime number, such as 65537 or 655373')
    .default(65537)
    .describe('Slots of the table; prime, and best over 100 times the number of backends'),
})
type Options = z.output<typeof options>

/** Slots of a key's walk past backends that cannot be picked. */
const maxSteps = 128

/** The member of each slot; 16 bits where they do, as half the table is half the cache. */
function slotsOf(bytes: Uint8Array, tableSize: number): Uint16Array | Uint32Array {
  const wide = bytes.byteLength >= tableSize * 4
  return wide
    ? new Uint32Array(bytes.buffer, bytes.byteOffset, tableSize)
    : new Uint16Array(bytes.buffer, bytes.byteOffset, tableSize)
}

/**
 * Maglev (Eisenbud et al., NSDI 2016) §3.4, "populate the lookup table": members take turns to claim the next free slot
 * of their own permutation of the slots. With weights: a member has a turn for each `unit` of weight that it has saved.
 */
function buildTable(members: readonly Member[], { tableSize }: Options): Uint8Array {
  const wide = members.length > 0xffff
  const bytes = new Uint8Array(tableSize * (wide ? 4 : 2))
  const slots = slotsOf(bytes, tableSize)
  // Turns in the order of the URLs: moving lines in the config moves no keys.
  const order = [...members.keys()].filter((index) => members[index].weight > 0)
  order.sort((a, b) => (members[a].url < members[b].url ? -1 : 1))
  if (order.length === 0) return bytes
  const unit = weightUnit(order.map((index) => members[index].weight))
  const at = Int32Array.from(order, (index) => (hashString(members[index].url, 0x6f666673) >>> 0) % tableSize)
  const skip = Int32Array.from(
    order,
    (index) => 1 + ((hashString(members[index].url, 0x736b6970) >>> 0) % (tableSize - 1)),
  )
  const saved = new Float64Array(order.length)
  const taken = new Uint8Array(tableSize)
  for (let free = tableSize; free > 0; ) {
    for (let turn = 0; turn < order.length && free > 0; turn++) {
      saved[turn] += members[order[turn]].weight
      for (; saved[turn] >= unit && free > 0; saved[turn] -= unit) {
        let slot = at[turn]
        while (taken[slot] === 1) slot = (slot + skip[turn]) % tableSize
        taken[slot] = 1
        slots[slot] = order[turn]
        at[turn] = slot
        free--
      }
    }
  }
  return bytes
}

/**
 * Looks the key up in the table. The table holds all members; past one that cannot be picked a key walks on by a step of
 * its own (double hashing), so the keys of a dead backend spread evenly over the rest, no other key moves, and all come
 * home when it returns. The weight is the configured one: the host brings keys home bit by bit in a slow start.
 */
class Maglev implements Algorithm {
  private readonly options: Options
  private readonly view = new TableView()
  private slots: Uint16Array | Uint32Array = new Uint16Array(1)

  constructor(options: Options) {
    this.options = options
  }

  update(view: BackendView): void {
    const table = view.table ?? buildTable(view.all, this.options)
    this.slots = slotsOf(table, this.options.tableSize)
    this.view.update(view)
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    const slots = this.slots
    const view = this.view
    const size = slots.length
    let slot = request.hash % size
    const first = slots[slot]
    if (view.allows(first, request)) return view.all[first]
    const step = 1 + ((mix32(request.hash) >>> 0) % (size - 1))
    for (let left = maxSteps; left > 0; left--) {
      slot = (slot + step) % size
      if (view.allows(slots[slot], request)) return view.all[slots[slot]]
    }
    return view.scan(request)
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'maglev',
  description: 'Consistent hashing of the service key by lookup table, weighted; even shares in O(1).',
  options,
  create: (_context, parsed) => new Maglev(parsed),
  buildTable,
})
