import { Agent, request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/until.ts'
import { pluginBench, stampSource } from './fixtures/plugin-bench.ts'

const replaced = 'a data thread that has loaded much plugin code is replaced by a fresh one'

/** Requests over kept connections, until told to stop; a fresh connection now and then. */
function load(port: number, clients: number) {
  const agent = new Agent({ connections: 4, pipelining: 1 })
  onTestFinished(() => agent.close())
  let over = false
  const failed: string[] = []
  let done = 0
  const client = async (n: number): Promise<void> => {
    for (let i = 0; !over; i++) {
      const answer = await request(`http://127.0.0.1:${port}/`, {
        dispatcher: agent,
        method: n % 2 === 0 ? 'GET' : 'POST',
        body: n % 2 === 0 ? null : 'x',
        reset: i % 20 === 0,
      }).catch((error: Error) => error)
      if (answer instanceof Error) failed.push(`${answer.name} ${answer.message}`)
      else {
        if (answer.statusCode !== 200) failed.push(String(answer.statusCode))
        await answer.body.dump()
      }
      done++
    }
  }
  const all = Promise.all(Array.from({ length: clients }, (_, n) => client(n)))
  return {
    failed,
    get done() {
      return done
    },
    async stop() {
      over = true
      await all
    },
  }
}

test.each([
  1, 2,
])('%i thread(s): after many versions of code each is replaced by a fresh one, and no request fails', {
  timeout: 90_000,
}, async (threads) => {
  const bench = await pluginBench({
    files: { 'stamp.ts': stampSource('0') },
    config: { node: { threads } },
    server: { longestHistory: 5, closingMs: 1000 },
  })
  const requests = load(bench.server.listeners[0].port, 8)
  const count = (): number => bench.log.filter(({ message }) => message === replaced).length
  let version = 0
  for (let round = 1; round <= threads; round++) {
    while (count() < round) {
      bench.write('stamp.ts', stampSource(String(++version)))
      expect(await bench.apply()).toMatchObject({ status: 'applied' })
    }
    // The old thread leaves beside: until it has, what only it holds is held.
    await until('the old thread is gone', () => bench.server.usage.waiting === 0, { timeoutMs: 20_000 })
    await bench.server.left()
  }
  expect(
    bench.log
      .filter(({ message }) => message === replaced)
      .map(({ fields }) => fields.thread)
      .toSorted(),
  ).toEqual([0, 1].slice(0, threads))
  bench.write('stamp.ts', stampSource('last'))
  expect(await bench.apply()).toMatchObject({ status: 'applied' })
  const before = requests.done
  await until('requests went on', () => requests.done > before + 100)
  await requests.stop()
  expect(requests.failed).toEqual([])
  expect(await bench.stamps()).toEqual(['last'])
  // A replacement is no death, and the seats are as they were.
  expect(bench.server.threads).toMatchObject(Array(threads).fill({ status: 'serving', restarts: 0 }))
  expect((await bench.admin('/metrics')).body).toMatch(/^millrace_client_connections \d+$/m)
})

test('the same few versions again and again replace nothing', async () => {
  const bench = await pluginBench({
    files: { 'stamp.ts': stampSource('0') },
    config: { node: { threads: 1 } },
    server: { longestHistory: 5 },
  })
  for (let i = 0; i < 20; i++) {
    bench.write('stamp.ts', stampSource(String(i % 4)))
    await bench.apply()
  }
  expect(bench.log.filter(({ message }) => message === replaced)).toEqual([])
})

test('a thread that dies beside its successor leaves nothing behind', async () => {
  const bench = await pluginBench({
    files: { 'stamp.ts': stampSource('0') },
    config: { node: { threads: 1 } },
    server: { longestHistory: 2 },
  })
  bench.write('stamp.ts', stampSource('1'))
  await bench.apply()
  await until('it is replaced', () => bench.log.some(({ message }) => message === replaced))
  await bench.server.killThread(0)
  await until(
    'the successor of the successor serves',
    () => bench.server.threads[0].restarts === 1 && bench.server.threads[0].status === 'serving',
  )
  await bench.server.left()
  expect(await bench.stamps()).toEqual(['1'])
  bench.write('stamp.ts', stampSource('2'))
  expect(await bench.apply()).toMatchObject({ status: 'applied' })
  expect(await bench.stamps()).toEqual(['2'])
})
