/** Asks the probes in the threads of a Node program (arms/node-probe.ts), and makes figures of what they say. */
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { ownModule } from '../own-module.ts'

const script = ownModule('../arms/node-probe', import.meta.url).href
/** A loop that is blocked for longer is no longer measured. */
const patienceMs = 3000

/** What one thread says of the time between `begin` and `end`; sizes in bytes. */
export interface ProbeReading {
  readonly thread: number
  readonly elapsedMs: number
  /** 0…1, of the time in which the event loop was at work. */
  readonly loopBusy: number
  readonly heapAtBegin: number
  readonly heapAtEnd: number
  /** In their order; `before` and `after` are sizes of the whole heap with its garbage. */
  readonly collections: readonly { readonly ms: number; readonly before: number; readonly after: number }[]
}

/**
 * What is alive in one isolate, in bytes, without its code: in ten minutes and more that grows as V8 optimises one function after
 * another, and falls again, a MiB at a time, when it forgets the bytecode of what has not run. A module that is loaded anew and anew
 * shows in the rest too.
 */
export interface LiveHeap {
  /** 0: the main thread. */
  readonly thread: number
  readonly bytes: number
}

/** What one isolate did in a block. */
export interface ThreadUse {
  /** 0: the main thread. */
  readonly thread: number
  readonly seconds: number
  readonly loopBusy: number
  readonly collections: number
  /** All pauses together, and the longest one. */
  readonly gcMs: number
  readonly longestMs: number
  readonly allocatedBytes: number
  /** The smallest heap that was seen: what is alive, and such garbage as only a full collection finds. */
  readonly heapBytes: number
}

/** Of a program that is to be probed. What the user's own NODE_OPTIONS say, stays. */
export function probeEnvironment(directory: string): { NODE_OPTIONS: string; MILLRACE_BENCH_PROBES: string } {
  const own = process.env.NODE_OPTIONS ?? ''
  return { NODE_OPTIONS: `${own} --import=${script}`.trim(), MILLRACE_BENCH_PROBES: directory }
}

/** Sockets of the probes in these processes; empty when none of them is a Node program. */
export function probesOf(directory: string, pids: readonly number[]): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .filter((name) => pids.includes(Number.parseInt(name, 10)))
    .map((name) => join(directory, name))
}

/** @returns the sockets that answered: those to be asked at the end */
export async function beginProbes(sockets: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(sockets.map((socket) => ask(socket, 'begin')))
  return sockets.filter((_, index) => answers[index] !== undefined)
}

/** Of the threads that are still there. */
export async function endProbes(sockets: readonly string[]): Promise<ThreadUse[]> {
  const answers = await Promise.all(sockets.map((socket) => ask(socket, 'end')))
  return answers
    .filter((answer) => answer !== undefined)
    .map((answer) => threadUse(JSON.parse(answer)))
    .sort((a, b) => a.thread - b.thread)
}

/** Has every thread that answers collect all of its garbage; it must have been started with `--expose-gc`. */
export async function liveHeaps(sockets: readonly string[]): Promise<LiveHeap[]> {
  const answers = await Promise.all(sockets.map((socket) => ask(socket, 'live')))
  return answers
    .filter((answer) => answer !== undefined)
    .map((answer): LiveHeap => JSON.parse(answer))
    .sort((a, b) => a.thread - b.thread)
}

/** undefined when nobody answers: the thread has ended, or its loop is blocked. */
function ask(path: string, question: 'begin' | 'end' | 'live'): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(path, () => socket.write(question))
    socket.setEncoding('utf8')
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), patienceMs)
    socket.on('data', (part: string) => {
      answer += part
    })
    // What is cut short is no answer.
    socket.once('error', () => {
      answer = ''
    })
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(answer === '' ? undefined : answer)
    })
  })
}

/**
 * What was allocated is the growth of the heap between collections; what they freed does not enter it. So it needs no help from the
 * allocator, and holds for any number of collections, none too.
 */
export function threadUse(reading: ProbeReading): ThreadUse {
  const { thread, elapsedMs, loopBusy, heapAtBegin, heapAtEnd, collections } = reading
  let size = heapAtBegin
  let allocatedBytes = 0
  let gcMs = 0
  let longestMs = 0
  let heapBytes = Math.min(heapAtBegin, heapAtEnd)
  for (const { ms, before, after } of collections) {
    allocatedBytes += before - size
    size = after
    gcMs += ms
    longestMs = Math.max(longestMs, ms)
    heapBytes = Math.min(heapBytes, after)
  }
  allocatedBytes += heapAtEnd - size
  return {
    ...{ thread, seconds: elapsedMs / 1000, loopBusy, collections: collections.length },
    ...{ gcMs, longestMs, allocatedBytes, heapBytes },
  }
}
