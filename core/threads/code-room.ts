/**
 * Where plugin code is tried before data threads get it: a thread that carries no traffic. The code of thread kinds never
 * runs on the main thread. So nothing in a plugin's module can end the process, and the main thread does not keep every
 * version that was ever loaded: the room is cleared when it has seen many.
 *
 * What the main thread holds is a stand-for: name and kind, and a schema that asks the room. A config is checked without a
 * turn of the event loop, so the main thread waits for those answers, which take microseconds.
 */
import { realpath } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { PluginSource } from '../config/snapshot.ts'
import { type AnyPlugin, threadKinds } from '../contracts/plugin.ts'
import { type CodeFiles, readCode } from '../host/code-hash.ts'
import { MillraceError } from '../host/errors.ts'
import { LateError } from '../host/instance-scope.ts'
import { explainLoadError } from '../host/load-errors.ts'
import { loadPlugin } from '../host/loader.ts'
import type { LoadedPlugin } from '../host/registry.ts'
import type { Answer, Described, Job, Question, Task } from './code-room-thread.ts'
import { toError } from './messages.ts'
import type { Trial } from './trial.ts'

/** Versions of code, then the room is cleared. */
const longestHistory = 200
/** A module that takes longer to load, or a schema to check, is at fault. */
const longestMs = 10_000

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const entryUrl = new URL(`./code-room-thread${extension}`, import.meta.url)

export class CodeRoom {
  readonly #longestHistory: number
  readonly #longestMs: number
  #room: Room | undefined
  /** By entry: the last version, so that code that stays is not asked about again. */
  readonly #known = new Map<string, LoadedPlugin>()

  /** The thread is started when it is first needed, and keeps no process alive. */
  constructor(history: number = longestHistory, ms: number = longestMs) {
    this.#longestHistory = history
    this.#longestMs = ms
  }

  /**
   * As `loadPlugin`. Packages, and kinds that run on the main thread, are loaded there.
   * @throws MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE, MR_PLUGIN_VERSION
   */
  async load(source: PluginSource): Promise<LoadedPlugin> {
    if (source.kind === 'package') return loadPlugin(source)
    const code = await readFiles(source)
    const known = this.#known.get(code.entry)
    if (
      known?.hash === code.hash &&
      known.source !== 'built-in' &&
      known.source.specifier === source.specifier
    )
      return known
    const described = await this.#ready(code).describe({ source, code })
    if (!threadKinds.includes(described.kind)) return loadPlugin(source)
    const loaded = {
      definition: this.#stand(source, code, described),
      source,
      hash: code.hash,
      entry: code.entry,
      code,
    }
    this.#known.set(code.entry, loaded)
    return loaded
  }

  /**
   * Makes an instance of a thread kind, and stops it.
   * @returns what is wrong with it; undefined: nothing
   */
  async try(trial: Trial): Promise<MillraceError | undefined> {
    const room = trial.code ? this.#ready(trial.code) : this.#any()
    return room.try(trial)
  }

  async close(): Promise<void> {
    await this.#room?.end()
    this.#room = undefined
  }

  #stand(source: PluginSource, code: CodeFiles, described: Described): AnyPlugin {
    let silent: Answer | undefined
    const ask = (question: Question): Answer => {
      if (silent) return silent
      const answer = this.#ready(code).ask({ source, code }, question)
      if (answer.type !== 'threw' || !answer.late) return answer
      // A config asks for each use of the plugin, in one turn: the main thread stands still for one of them, not for all.
      silent = answer
      setImmediate(() => {
        silent = undefined
      })
      return answer
    }
    const validate = (value: unknown) => {
      const answer = ask({ type: 'validate', value })
      if (answer.type === 'threw') throw thrown(answer)
      if (answer.type === 'late') return Promise.resolve({ value })
      // The room reads them again where it needs them: what a schema makes of options may be more than data.
      return answer.type === 'issues' ? { issues: answer.issues } : { value }
    }
    const { jsonSchema, hasTable, ...named } = described
    const standard = { version: 1, vendor: 'millrace', validate }
    const input = () => jsonSchema ?? {}
    const buildTable = (members: readonly unknown[], options: unknown): Uint8Array => {
      const answer = ask({ type: 'table', members, options })
      if (answer.type === 'table') return answer.bytes
      throw answer.type === 'threw' ? thrown(answer) : new Error('the options do not hold')
    }
    return {
      api: 1,
      ...named,
      options: { '~standard': jsonSchema ? { ...standard, jsonSchema: { input, output: input } } : standard },
      create() {
        throw new MillraceError('MR_PLUGIN_CREATE', `${described.name} runs on data threads only`)
      },
      ...(hasTable ? { buildTable } : {}),
    } as unknown as AnyPlugin
  }

  /** The room that has the version, or has place for it. */
  #ready(code: CodeFiles): Room {
    const version = `${code.entry} ${code.hash}`
    const full =
      this.#room && this.#room.versions.size >= this.#longestHistory && !this.#room.versions.has(version)
    if (full) {
      void this.#room?.end()
      this.#room = undefined
    }
    const room = this.#any()
    room.versions.add(version)
    return room
  }

  #any(): Room {
    if (!this.#room?.alive) this.#room = new Room(this.#longestMs)
    return this.#room
  }
}

/** One thread, until it is full or a plugin has ended it. */
class Room {
  readonly versions = new Set<string>()
  alive = true
  /** Of the room, once it has ended. */
  #why = 'it gave no reason'
  #late = false
  readonly #worker: Worker
  readonly #now: MessagePort
  readonly #signal = new Int32Array(new SharedArrayBuffer(8))
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>()
  readonly #longestMs: number
  #last = 0

  constructor(ms: number) {
    this.#longestMs = ms
    const { port1, port2 } = new MessageChannel()
    this.#now = port1
    const workerData = { now: port2, signal: this.#signal }
    this.#worker = new Worker(entryUrl, { workerData, transferList: [port2], name: 'millrace-code' })
    this.#worker.on('message', ({ id, answer }: { id: number; answer: Answer }) => {
      this.#waiting.get(id)?.resolve(answer)
      this.#waiting.delete(id)
    })
    this.#worker.on('error', (error) => {
      this.#why = error instanceof Error ? error.message : String(error)
    })
    this.#worker.on('exit', () => {
      this.alive = false
      for (const { reject } of this.#waiting.values()) reject(this.#ended())
      this.#waiting.clear()
      this.#now.close()
    })
    this.#worker.unref()
    this.#now.unref()
  }

  /** @throws MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE */
  async describe(task: Task): Promise<Described> {
    const { specifier } = task.source
    const answer = await this.#answer({ type: 'describe', task }, this.#longestMs).catch((ended: Error) => {
      const message = `Plugin ${specifier}: ${ended.message}`
      throw new MillraceError('MR_PLUGIN_LOAD', message, { plugin: specifier })
    })
    if (answer.type === 'described') return answer.described
    throw answer.type === 'refused' ? toError(answer.problem) : new TypeError(`not described: ${answer.type}`)
  }

  /** Twice as long: the host itself ends `create` after 10 s, and a release after 5 s, and says so. */
  async try(trial: Trial): Promise<MillraceError | undefined> {
    const { kind, name, id, path } = trial
    const answer = await this.#answer({ type: 'try', trial }, 2 * this.#longestMs).catch(
      (ended: Error): Answer => {
        const message = `The ${kind} "${name}" (${id}): create: ${ended.message}`
        const code = this.#late ? 'MR_PLUGIN_TIMEOUT' : 'MR_PLUGIN_CREATE'
        return { type: 'refused', problem: { code, message, plugin: name, hook: 'create', path } }
      },
    )
    if (answer.type !== 'refused') return undefined
    const { problem } = answer
    return toError({ ...problem, path: problem.path ?? path })
  }

  /** @throws MR_THREAD when the thread ends before it has answered */
  async #answer(job: Job, longestMs: number): Promise<Answer> {
    const id = ++this.#last
    const waiting = Promise.withResolvers<Answer>()
    this.#waiting.set(id, waiting)
    // While somebody waits the thread counts; a process that has nothing else to do would end before the answer.
    this.#worker.ref()
    this.#worker.postMessage({ id, job })
    const late = setTimeout(() => {
      this.#late = true
      this.#why = `it took more than ${longestMs / 1000} s`
      void this.end()
    }, longestMs)
    try {
      return await waiting.promise
    } finally {
      clearTimeout(late)
      if (this.#waiting.size === 0) this.#worker.unref()
    }
  }

  /** Waits for the answer, on the spot. */
  ask(task: Task, question: Question): Answer {
    Atomics.store(this.#signal, 0, 0)
    // Its end is told in the next turn of the event loop, for which nobody can wait here.
    if (Atomics.load(this.#signal, 1) === 1) return this.#gone()
    this.#now.postMessage({ task, question })
    if (Atomics.wait(this.#signal, 0, 0, this.#longestMs) === 'timed-out') {
      this.#late = true
      this.#why = `no answer within ${this.#longestMs / 1000} s`
      void this.end()
      return { type: 'threw', message: `no answer within ${this.#longestMs / 1000} s`, late: true }
    }
    const answer = receiveMessageOnPort(this.#now)?.message as Answer | undefined
    return answer ?? this.#gone()
  }

  #gone(): Answer {
    this.alive = false
    return { type: 'threw', message: 'its code ended the thread that tried it' }
  }

  async end(): Promise<void> {
    this.alive = false
    await this.#worker.terminate()
  }

  #ended(): MillraceError {
    const ended = this.#late ? 'it was ended' : 'its code ended the thread that tried it'
    return new MillraceError('MR_THREAD', `${ended}: ${this.#why}`)
  }
}

const thrown = ({ message, late }: Extract<Answer, { type: 'threw' }>): Error =>
  late ? new LateError(message) : new Error(message)

async function readFiles(source: PluginSource): Promise<CodeFiles> {
  try {
    return await readCode(pathToFileURL(await realpath(source.location)).href)
  } catch (error) {
    throw await explainLoadError(error, source)
  }
}
