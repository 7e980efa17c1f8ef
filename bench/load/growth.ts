import { parseGcTrace } from '../stats/gc-trace.ts'
import { type Point, trend } from '../stats/slope.ts'

export interface Growth {
  readonly name: string
  /** Predicted by the line through the lower envelope, after the warm-up. */
  readonly first: number
  readonly last: number
  readonly allowed: number
  readonly grows: boolean
}

const mebibyte = 1024 * 1024
/** What a version of the plugin of this run leaves in a thread that has loaded it. */
const versionBytes = 20 * 1024
/** Isolates with fewer collections than this have lived too briefly for a line. */
const fewestCollections = 20

/**
 * What has grown over a run of reloads: resident memory, descriptors, and the heap of each isolate after its collections.
 * What a module instance would leave behind at each reload (some 18 KiB) is a multiple of what is allowed over 1,000 of them.
 * @param history versions of code that a thread may hold before it is replaced; 0: they are not to add up
 */
export function growths(
  resident: readonly Point[],
  descriptors: readonly Point[],
  gcTrace: string,
  history: number,
): readonly Growth[] {
  // Where threads are replaced, resident memory is level only when each has been, for the allocator keeps what they had.
  const settle = history > 2 ? 0.5 : 0.25
  const heaps = [...parseGcTrace(gcTrace).values()]
    .filter((points) => points.length >= fewestCollections)
    .map((points, i) =>
      judge(`heap bytes after collection, isolate ${i + 1}`, points, 3 * mebibyte + history * versionBytes),
    )
  return [
    // Two data threads and the one that tries code.
    judge('resident bytes', resident, 16 * mebibyte + 3 * history * versionBytes, settle),
    judge('descriptors', descriptors, 20),
    ...heaps,
  ].filter((growth) => growth !== undefined)
}

function judge(name: string, points: readonly Point[], least: number, settle = 0.25): Growth | undefined {
  const line = trend(points, 0, settle)
  if (!line) return undefined
  const allowed = least + 0.05 * Math.max(0, line.first)
  return { name, first: line.first, last: line.last, allowed, grows: line.last - line.first > allowed }
}
