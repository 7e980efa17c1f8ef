import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { folderWith, type Running, startCli } from '../cli/run-cli.ts'
import { until } from '../harness/until.ts'

const example = (file: string): string => path.resolve(import.meta.dirname, '../../examples/queue-lock', file)

/** A queue with jobs, and consumers that stand ready for it. */
function queueOf(count: number) {
  const directory = folderWith({})
  const file = path.join(directory, 'queue.db')
  const filled = spawnSync(process.execPath, [example('enqueue.ts'), file, String(count)])
  expect(filled.status, String(filled.stderr)).toBe(0)
  const consumer = (name: string, workMs: number): Running =>
    startCli(
      [
        ...['lock', 'orders', '--store', 'sqlite:locks.db', '--ttl', '1500ms', '--wait', 'forever', '--'],
        ...[process.execPath, example('consumer.ts'), file, name, String(workMs)],
      ],
      { directory },
    )
  const queue = new DatabaseSync(file)
  queue.exec('PRAGMA busy_timeout = 5000')
  onTestFinished(() => queue.close())
  const doneBy = (): (string | null)[] =>
    queue
      .prepare('SELECT done_by FROM jobs ORDER BY id')
      .all()
      .map((row) => row.done_by as string | null)
  return { consumer, doneBy }
}

/** Of the consumer that the command has started. */
function childOf({ child }: Running): number {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(/\s+/)
  expect(children).toHaveLength(1)
  return Number(children[0])
}

test('what its README says to type does the jobs', () => {
  const readme = readFileSync(example('README.md'), 'utf8')
  const typed = [...readme.matchAll(/^node (?:enqueue\.ts|\.\.\/\.\.\/cli\/bin\.js) .*$/gm)].map(
    ([line]) => line,
  )
  expect(typed).toHaveLength(2)
  const directory = folderWith({})
  const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env.PATH}` }
  const said = typed.map((line) => {
    const command = line
      .replaceAll(/(?:\.\.\/\.\.\/cli\/bin\.js|\b(?:enqueue|consumer)\.ts)/g, (file) => `'${example(file)}'`)
      .replace(/ 50$/, ' 2')
      .replace(/ 500$/, ' 5')
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: directory, env })
    expect({ command, status, err: String(stderr) }).toMatchObject({ status: 0 })
    return String(stdout)
  })
  expect(said).toEqual([
    '',
    expect.stringMatching(
      /^ann begins task 1\nann has done task 1 with token \d+\nann begins task 2\nann has done task 2 /,
    ),
  ])
})

test('one works, the others wait; it is killed and the next goes on, and each job is done once, in order', async () => {
  const { consumer, doneBy } = queueOf(12)
  const first = consumer('ann', 60)
  await first.waitFor(/ann has done task 2 /)
  const others = [consumer('bob', 5), consumer('eve', 5)]
  await first.waitFor(/ann has done task 4 /)
  expect(others.map(({ text }) => text.out)).toEqual(['', ''])
  const worker = childOf(first)
  first.child.kill('SIGKILL')
  process.kill(worker, 'SIGKILL')
  const results = await Promise.all(others.map(({ ended }) => ended))
  expect(results.map(({ status, err }) => [status, err])).toEqual([
    [0, expect.not.stringMatching(/fenced/)],
    [0, expect.not.stringMatching(/fenced/)],
  ])
  const done = doneBy()
  expect(done.slice(0, 4)).toEqual(['ann', 'ann', 'ann', 'ann'])
  expect(done).not.toContain(null)
  const said = [first, ...others].map(({ text }) => text.out).join('')
  const finished = [...said.matchAll(/has done task (\d+) /g)].map(([, number]) => Number(number))
  expect([...new Set(finished)]).toHaveLength(finished.length)
})

test('a consumer that slept through the loss of its lock is fenced off by the queue', async () => {
  const { consumer, doneBy } = queueOf(6)
  const first = consumer('ann', 100)
  await first.waitFor(/ann begins task 2/)
  const worker = childOf(first)
  onTestFinished(() => {
    try {
      process.kill(worker, 'SIGKILL')
    } catch {
      // It has ended.
    }
  })
  first.child.kill('SIGSTOP')
  process.kill(worker, 'SIGSTOP')
  const second = consumer('bob', 5)
  await second.waitFor(/bob has done task 6 /)
  expect((await second.ended).status).toBe(0)
  process.kill(worker, 'SIGCONT')
  await until('the first was refused', () => /ann is fenced off: token \d+ is newer/.test(first.text.err))
  expect(first.text.out).not.toMatch(/ann has done task 2/)
  first.child.kill('SIGCONT')
  expect((await first.ended).status).not.toBe(0)
  expect(doneBy()).toEqual(['ann', 'bob', 'bob', 'bob', 'bob', 'bob'])
})
