/**
 * Does the jobs of a queue, one after the other, in order: `millrace lock NAME … -- node consumer.ts QUEUE.db NAME [MILLISECONDS]`.
 *
 * The lock sees to it that there is one consumer. It cannot see to it that a consumer which was stopped, or cut off, knows in time
 * that it is no longer the one: so each job is finished together with a look at the token, in one transaction of the queue.
 */
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as later } from 'node:timers/promises'

interface Job {
  readonly id: number
  readonly task: string
}

interface Token {
  readonly lineage: string
  readonly number: number
}

function tokenOf({ MILLRACE_LOCK_LINEAGE: lineage, MILLRACE_LOCK_TOKEN: text }: NodeJS.ProcessEnv): Token {
  if (lineage === undefined || text === undefined)
    throw new Error('there is no lock: start it with `millrace lock`')
  return { lineage, number: Number(text) }
}

/** @throws when another consumer has a newer token: nothing is changed then */
function finish(queue: DatabaseSync, job: Job, name: string, token: Token): void {
  queue.exec('BEGIN IMMEDIATE')
  try {
    const newest = queue.prepare('SELECT token FROM fence WHERE lineage = ?').get(token.lineage)
    if (newest && Number(newest.token) > token.number)
      throw new Error(`${name} is fenced off: token ${newest.token} is newer than its own, ${token.number}`)
    queue.exec('DELETE FROM fence')
    queue.prepare('INSERT INTO fence (lineage, token) VALUES (?, ?)').run(token.lineage, token.number)
    queue.prepare('UPDATE jobs SET done_by = ? WHERE id = ?').run(name, job.id)
    queue.exec('COMMIT')
  } catch (error) {
    queue.exec('ROLLBACK')
    throw error
  }
}

async function consume(file: string, name: string, workMs: number): Promise<void> {
  const token = tokenOf(process.env)
  const queue = new DatabaseSync(file)
  queue.exec('PRAGMA busy_timeout = 5000')
  const next = queue.prepare('SELECT id, task FROM jobs WHERE done_by IS NULL ORDER BY id LIMIT 1')
  for (let job = next.get(); job; job = next.get()) {
    const { id, task } = job as unknown as Job
    process.stdout.write(`${name} begins ${task}\n`)
    await later(workMs)
    finish(queue, { id, task }, name, token)
    process.stdout.write(`${name} has done ${task} with token ${token.number}\n`)
  }
  queue.close()
}

if (import.meta.main) {
  const [file, name, workMs = '0'] = process.argv.slice(2)
  consume(file, name, Number(workMs)).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  })
}
