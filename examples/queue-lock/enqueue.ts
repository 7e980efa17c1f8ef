/** Puts jobs into the queue: `node enqueue.ts QUEUE.db COUNT`. */
import { DatabaseSync } from 'node:sqlite'

/** A queue is a table of jobs, and the greatest token that anybody has worked with. */
const schema = `
CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, task TEXT NOT NULL, done_by TEXT);
CREATE TABLE IF NOT EXISTS fence (lineage TEXT NOT NULL, token INTEGER NOT NULL);
`

function enqueue(file: string, count: number): void {
  const queue = new DatabaseSync(file)
  queue.exec('PRAGMA busy_timeout = 5000')
  queue.exec(schema)
  const insert = queue.prepare('INSERT INTO jobs (task) VALUES (?)')
  for (let number = 1; number <= count; number++) insert.run(`task ${number}`)
  queue.close()
}

if (import.meta.main) enqueue(process.argv[2], Number(process.argv[3]))
