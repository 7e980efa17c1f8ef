/**
 * Loaded into every thread of the Node programs under test (`NODE_OPTIONS=--import`): tells what its isolate did between two
 * questions, `begin` and `end`, on the unix socket `PID-THREAD` of the folder in `MILLRACE_BENCH_PROBES`. Between them
 * no JavaScript of it runs: V8 notes each collection, libuv the time in which the loop had nothing to do. To `live` it
 * answers after a full collection, where the program was started with `--expose-gc`, with what is alive.
 */
import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { GCProfiler, getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import { threadId } from 'node:worker_threads'
import type { LiveHeap, ProbeReading } from '../stats/node-probe.ts'

class Probe {
  #profiler = new GCProfiler()
  #loop = performance.eventLoopUtilization()
  #startedAt = 0
  #heapAtBegin = 0

  begin(): void {
    // One that nobody came back to ends here.
    this.#profiler.stop()
    this.#profiler = new GCProfiler()
    this.#profiler.start()
    this.#heapAtBegin = getHeapStatistics().used_heap_size
    this.#loop = performance.eventLoopUtilization()
    this.#startedAt = performance.now()
  }

  end(): ProbeReading {
    const elapsedMs = performance.now() - this.#startedAt
    const loopBusy = performance.eventLoopUtilization(this.#loop).utilization
    const heapAtEnd = getHeapStatistics().used_heap_size
    const collections = (this.#profiler.stop()?.statistics ?? []).map((one) => ({
      ms: one.cost / 1000,
      before: one.beforeGC.heapStatistics.usedHeapSize,
      after: one.afterGC.heapStatistics.usedHeapSize,
    }))
    return {
      ...{ thread: threadId, elapsedMs, loopBusy, heapAtBegin: this.#heapAtBegin, heapAtEnd },
      collections,
    }
  }
}

/** Spaces of V8's heap for code: machine code, bytecode and what belongs to them. */
const codeSpace = /code|trusted|read_only/

/** undefined where nothing can be collected on demand. */
function live(): LiveHeap | undefined {
  if (globalThis.gc === undefined) return undefined
  globalThis.gc()
  let bytes = 0
  for (const { space_name, space_used_size } of getHeapSpaceStatistics())
    if (!codeSpace.test(space_name)) bytes += space_used_size
  return { thread: threadId, bytes }
}

function serve(directory: string): void {
  const probe = new Probe()
  const answers: Record<string, () => unknown> = {
    begin: () => {
      probe.begin()
      return {}
    },
    end: () => probe.end(),
    live,
  }
  const answer = (socket: Socket, question: string): void => {
    // What it cannot tell is an empty answer, which counts as none.
    socket.end(JSON.stringify(answers[question]?.()) ?? '')
  }
  const server = createServer((socket) => {
    socket.setEncoding('utf8')
    socket.unref()
    socket.on('error', () => socket.destroy())
    socket.once('data', (question: string) => answer(socket, question))
  })
  // The program under test must not fail for it: who asks is told that nobody answers.
  server.on('error', () => server.close())
  const path = join(directory, `${process.pid}-${threadId}`)
  // A program that begins anew in the same process (`process.execve`) leaves its socket behind.
  rmSync(path, { force: true })
  server.listen(path)
  server.unref()
}

const directory = process.env.MILLRACE_BENCH_PROBES
if (directory !== undefined) serve(directory)
