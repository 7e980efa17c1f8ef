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

const options = z.strictObject({
  points: z
    .number()
    .int()
    .min(1)
    .max(4096)
    .default(160)
    .describe('Points on the ring of a backend of about median weight. More: evener shares, a bigger table'),
})
type Options = z.output<typeof options>

/** Points in all: 8 MiB of table. Beyond, every backend gets half as many, until they fit. */
const maxPoints = 2 ** 20

/** Points of a key's walk past backends that cannot be picked. */
const maxSteps = 256

/** How many points a member has: in proportion to its weight, one at least. */
function pointCounts(members: readonly Member[], perUnit: number): number[] {
  const unit = weightUnit(members.map((member) => member.weight))
  let scale = perUnit
  for (;;) {
    const counts = members.map(({ weight }) =>
      weight > 0 ? Math.max(1, Math.round((weight / unit) * scale)) : 0,
    )
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (total <= Math.max(maxPoints, members.length)) return counts
    scale /= 2
  }
}

/**
 * The ring: `n` point hashes in ascending order, then for each its member (uint32, native order). Point `i` of a member
 * depends on its URL and `i` alone, so a member that comes or goes moves only the keys in front of its own points.
 */
function buildTable(members: readonly Member[], { points }: Options): Uint8Array {
  const counts = pointCounts(members, points)
  const size = Math.max(
    1,
    counts.reduce((sum, count) => sum + count, 0),
  )
  // Hash and member in one double (32 + 21 bits): the engine sorts those natively.
  const packed = new Float64Array(size)
  let at = 0
  for (let index = 0; index < members.length; index++) {
    const high = hashString(members[index].url, 0x72696e67)
    const low = hashString(members[index].url, 0x68617368)
    for (let i = 0; i < counts[index]; i++) {
      const hash = mix32(high ^ mix32((low + Math.imul(i, 0x9e3779b9)) | 0)) >>> 0
      packed[at++] = hash * 2 ** 21 + index
    }
  }
  packed.sort()
  const table = new Uint32Array(size * 2)
  for (let i = 0; i < size; i++) {
    table[i] = Math.floor(packed[i] / 2 ** 21)
    table[size + i] = packed[i] % 2 ** 21
  }
  return new Uint8Array(table.buffer)
}

/**
 * Consistent hashing (Karger et al., STOC 1997): a key goes to the first point at or after its hash. Backends that cannot be picked
 * stay on the ring and are walked past, so their keys spread over those behind their points, the other keys stay, and
 * all come home when the backend returns. The weight is the configured one: the host brings keys home bit by bit in a slow start.
 */
class RingHash implements Algorithm {
  private readonly options: Options
  private readonly view = new TableView()
  private ring: Uint32Array = new Uint32Array(0)

  constructor(options: Options) {
    this.options = options
  }

  update(view: BackendView): void {
    const table = view.table ?? buildTable(view.all, this.options)
    this.ring = new Uint32Array(table.buffer, table.byteOffset, table.byteLength >>> 2)
    this.view.update(view)
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    const { ring, view } = this
    const size = ring.length >>> 1
    let at = this.successor(request.hash)
    let refused = -1
    for (let left = Math.min(size, maxSteps); left > 0; left--) {
      const index = ring[size + at]
      if (index !== refused && view.allows(index, request)) return view.all[index]
      refused = index
      at = at + 1 < size ? at + 1 : 0
    }
    return view.scan(request)
  }

  /** Index of the first point whose hash is not less; past the last, the ring closes. */
  private successor(hash: number): number {
    const ring = this.ring
    const size = ring.length >>> 1
    let from = 0
    let to = size
    while (from < to) {
      const middle = (from + to) >>> 1
      if (ring[middle] < hash) from = middle + 1
      else to = middle
    }
    return from < size ? from : 0
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'ring-hash',
  description: 'Consistent hashing of the service key on a ring, weighted.',
  options,
  create: (_context, parsed) => new RingHash(parsed),
  buildTable,
})
