/** Nanoseconds and bytes of every hook of a plugin, measured in a thread of their own. */
import { Worker } from 'node:worker_threads'
import type { Measured, Plan } from '../micro/measure.ts'
import { ownModule } from '../own-module.ts'
import type { HookMessage, HookWork } from './hooks-thread.ts'
import type { PluginTarget } from './target.ts'

export interface HookRow {
  readonly name: string
  /** Called for every request. */
  readonly hot: boolean
  readonly measured: Measured
  readonly note: string | undefined
}

export interface HookResults {
  readonly rows: readonly HookRow[]
  /** Hooks that threw, with what they threw; `late`: that did not settle in time. */
  readonly failed: readonly { readonly name: string; readonly message: string; readonly late?: boolean }[]
  /** Warnings and errors that the plugin logged. */
  readonly logged: { readonly count: number; readonly first: string } | undefined
}

/**
 * @param signal ends the thread
 * @param advance told of each hook
 * @throws what the plugin's `create` threw, with the plugin's name
 */
export async function measureHooks(
  target: PluginTarget,
  plan: Plan,
  signal: AbortSignal,
  advance?: (name: string) => void,
): Promise<HookResults> {
  const rows: HookRow[] = []
  const failed: { name: string; message: string; late: boolean }[] = []
  let logged: HookResults['logged']
  let unusable: string | undefined
  const take = (message: HookMessage): void => {
    if (message.type === 'measured') rows.push(message)
    else if (message.type === 'failed') failed.push(message)
    else if (message.type === 'logged') logged = message
    else if (message.type === 'unusable') unusable = message.message
    if (message.type === 'measured' || message.type === 'failed') advance?.(message.name)
  }
  await inThread({ target, plan }, signal, take)
  signal.throwIfAborted()
  if (unusable !== undefined) throw new Error(unusable)
  return { rows, failed, logged }
}

async function inThread(
  work: HookWork,
  signal: AbortSignal,
  take: (message: HookMessage) => void,
): Promise<void> {
  const thread = new Worker(ownModule('./hooks-thread', import.meta.url), { workerData: work })
  const end = () => void thread.terminate()
  signal.addEventListener('abort', end)
  thread.on('message', take)
  try {
    await new Promise<void>((resolve, reject) => {
      thread.once('error', reject)
      thread.once('exit', () => resolve())
    })
  } finally {
    signal.removeEventListener('abort', end)
  }
}
