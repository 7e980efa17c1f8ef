/** The thread of `code-room.ts`: loads plugin code from its text, says what it is, and answers for its schema. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { PluginSource } from '../config/snapshot.ts'
import type { Member } from '../contracts/algorithm.ts'
import type { PluginKind } from '../contracts/plugin.ts'
import type { CodeFiles } from '../host/code-hash.ts'
import { MillraceError } from '../host/errors.ts'
import { HeldCode } from '../host/held-code.ts'
import { installResolver, loadText } from '../host/loader.ts'
import { optionsJsonSchema, parseOptions } from '../host/options.ts'
import type { LoadedPlugin } from '../host/registry.ts'
import { type ErrorData, errorData } from './messages.ts'
import { type Trial, trialPlugin, tryUse } from './trial.ts'

export interface Task {
  readonly source: PluginSource
  readonly code: CodeFiles
}

/** What is asked of the room while the asker goes on. */
export type Job =
  | { readonly type: 'describe'; readonly task: Task }
  | { readonly type: 'try'; readonly trial: Trial }

export interface Described {
  readonly kind: PluginKind
  readonly name: string
  readonly description?: string
  readonly jsonSchema: Record<string, unknown> | undefined
  readonly hasTable: boolean
}

export type Question =
  | { readonly type: 'validate'; readonly value: unknown }
  | { readonly type: 'table'; readonly members: readonly unknown[]; readonly options: unknown }

export interface Issue {
  readonly message: string
  readonly path: readonly (string | number)[]
}

export type Answer =
  | { readonly type: 'described'; readonly described: Described }
  | { readonly type: 'refused'; readonly problem: ErrorData }
  /** An instance was made and stopped. */
  | { readonly type: 'made' }
  | { readonly type: 'valid' }
  | { readonly type: 'issues'; readonly issues: readonly Issue[] }
  /** The schema is asynchronous. */
  | { readonly type: 'late' }
  | { readonly type: 'table'; readonly bytes: Uint8Array }
  /** `late`: it did not answer at all. */
  | { readonly type: 'threw'; readonly message: string; readonly late?: boolean }

interface RoomData {
  /** Questions whose asker stands still until the signal comes. */
  readonly now: MessagePort
  /** 1 where there is something to read: [0] an answer, [1] the end of this thread, after which none comes. */
  readonly signal: Int32Array<SharedArrayBuffer>
}

function run(port: MessagePort, { now, signal }: RoomData): void {
  const held = new HeldCode()
  installResolver(held)
  process.once('exit', () => {
    Atomics.store(signal, 1, 1)
    tell(signal)
  })
  const load = (task: Task): Promise<LoadedPlugin> => {
    held.hold([task.code])
    return loadText(task.source, task.code)
  }
  port.on('message', async ({ id, job }: { id: number; job: Job }) => {
    port.postMessage({ id, answer: await answerJob(job, load) })
  })
  now.on('message', async ({ task, question }: { task: Task; question: Question }) => {
    const answer = await load(task)
      .then((loaded) => answerTo(loaded, question))
      .catch((error: unknown): Answer => ({ type: 'threw', message: textOf(error) }))
    now.postMessage(answer)
    tell(signal)
  })
}

async function answerJob(job: Job, load: (task: Task) => Promise<LoadedPlugin>): Promise<Answer> {
  if (job.type === 'describe') return load(job.task).then(describe, refusal('MR_PLUGIN_LOAD'))
  try {
    await tryUse(await trialPlugin(job.trial, load), job.trial)
    return { type: 'made' }
  } catch (error) {
    return refusal('MR_PLUGIN_CREATE')(error)
  }
}

function tell(signal: RoomData['signal']): void {
  Atomics.store(signal, 0, 1)
  Atomics.notify(signal, 0)
}

function describe({ definition }: LoadedPlugin): Answer {
  const { kind, name, description, options } = definition
  const hasTable = definition.buildTable !== undefined
  return {
    type: 'described',
    described: { kind, name, description, jsonSchema: schemaOf(options), hasTable },
  }
}

/** Only what can be cloned. */
function schemaOf(options: LoadedPlugin['definition']['options']): Record<string, unknown> | undefined {
  const schema = optionsJsonSchema(options)
  return schema && (JSON.parse(JSON.stringify(schema)) as Record<string, unknown>)
}

function refusal(code: 'MR_PLUGIN_LOAD' | 'MR_PLUGIN_CREATE'): (error: unknown) => Answer {
  return (error) => {
    const problem = errorData(error, code)
    // Ours say in their own words what the cause says in Node's.
    return {
      type: 'refused',
      problem: error instanceof MillraceError ? { ...problem, message: error.message } : problem,
    }
  }
}

function answerTo({ definition }: LoadedPlugin, question: Question): Answer {
  if (question.type === 'table') {
    const options = parseOptions(definition, question.options)
    const bytes: unknown = definition.buildTable?.(question.members as readonly Member[], options as never)
    if (bytes instanceof Uint8Array) return { type: 'table', bytes: new Uint8Array(bytes) }
    return { type: 'threw', message: 'it must return a Uint8Array' }
  }
  const result = definition.options['~standard'].validate(question.value)
  if ('then' in result) {
    result.then(undefined, () => {})
    return { type: 'late' }
  }
  if (!result.issues) return { type: 'valid' }
  const issues = result.issues.map(({ message, path = [] }) => ({ message, path: path.map(plainStep) }))
  return { type: 'issues', issues }
}

function plainStep(step: PropertyKey | { readonly key: PropertyKey }): string | number {
  const key = typeof step === 'object' ? step.key : step
  return typeof key === 'number' ? key : String(key)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}

if (!parentPort) throw new TypeError('code-room-thread is the entry of a worker thread')
run(parentPort, workerData as RoomData)
