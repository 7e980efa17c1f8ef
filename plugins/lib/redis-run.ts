/** Runs a script of ours on the server, and waits for replicas where that is asked for. */
import type { Redis } from 'ioredis'
import { AnswerLost, isReply, wordOf } from './redis-errors.ts'
import type { Script } from './redis-scripts.ts'

export interface ForReplicas<T> {
  readonly replicas: number
  readonly timeout: number
  /** Whether this answer is of a write, and not of a refusal. */
  wrote(reply: T): boolean
}

type Argument = string | number | Buffer

/**
 * @returns the answer, as buffers, numbers, null and lists of those
 * @throws AnswerLost when it was done and too few replicas have it
 */
export async function runScript<T>(
  redis: Redis,
  script: Script,
  keys: readonly string[],
  given: readonly Argument[],
  wait?: ForReplicas<T>,
): Promise<T> {
  const run = (command: string, what: string): Promise<T> =>
    sendWith(redis, command, [what, keys.length, ...keys, ...given], wait)
  try {
    return await run('evalsha', script.sha)
  } catch (error) {
    // A server that was just started, or promoted, does not know it. Nothing has been done.
    if (!isReply(error) || wordOf(error) !== 'NOSCRIPT') throw error
    return await run('eval', script.text)
  }
}

async function sendWith<T>(
  redis: Redis,
  command: string,
  given: readonly Argument[],
  wait: ForReplicas<T> | undefined,
): Promise<T> {
  const answer = redis.callBuffer(command, ...(given as Argument[])) as Promise<T>
  if (!wait) return answer
  // WAIT asks for the last write of its own connection: it follows at once, with nothing in between.
  const acknowledged = (redis.call('wait', wait.replicas, wait.timeout) as Promise<number>).catch(
    (error: unknown) => error,
  )
  const reply = await answer
  if (!wait.wrote(reply)) return reply
  const count = await acknowledged
  if (typeof count === 'number' && count >= wait.replicas) return reply
  throw new AnswerLost(
    typeof count === 'number'
      ? `the write was made, and ${count} of ${wait.replicas} replicas had it within ${wait.timeout} ms`
      : 'the write was made, and nobody knows whether a replica has it',
    count,
  )
}
