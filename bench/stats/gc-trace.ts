import type { Point } from './slope.ts'

/**
 * What `node --trace-gc` prints: for each isolate (the main thread, each data thread) the bytes alive after each
 * collection. So the heap of a worker thread can be followed without any help from the process.
 */
export function parseGcTrace(text: string): Map<string, Point[]> {
  const isolates = new Map<string, Point[]>()
  const pattern = /^\[\d+:(0x[0-9a-f]+)(?::\d+)?\]\s+(\d+) ms: [^\n]*?\) -> ([\d.]+) \(/gm
  for (const [, isolate, milliseconds, mebibytes] of text.matchAll(pattern)) {
    const points = isolates.get(isolate) ?? []
    points.push({ seconds: Number(milliseconds) / 1000, value: Number(mebibytes) * 1024 * 1024 })
    isolates.set(isolate, points)
  }
  return isolates
}
