/**
 * Open-loop load from a process of its own, so that nothing else waits in its loop: `node open-loop-driver.ts WARM-UP-SECONDS`
 * with an IPC channel. It measures block after block for a whole run, since a new process is milliseconds late until its code
 * is optimised. It ends with whoever started it.
 */
import { createServer, type Server } from 'node:net'
import type { DriverAnswer, DriverCommand } from './driver-messages.ts'
import { runOpenLoop } from './open-loop.ts'

const answer = (message: DriverAnswer): void => void process.send?.(message)

/** Loads a server in this very process: what has to be learned is the driver's own code. */
async function warmUp(seconds: number): Promise<void> {
  const server = await constantServer()
  const { port } = server.address() as { port: number }
  await runOpenLoop({
    ...{ url: `http://127.0.0.1:${port}/`, ratePerSecond: 3000, seconds, warmupSeconds: 0 },
    ...{ arrivals: 'poisson', seed: 1, connections: 64, patienceMs: 1000, spin: false },
  })
  server.close()
}

function constantServer(): Promise<Server> {
  const body = 'a'.repeat(64)
  const response = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const server = createServer((socket) => {
    // Without pipelining, what arrives is one whole request.
    socket.on('data', () => socket.write(response, 'latin1'))
    socket.on('error', () => socket.destroy())
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

async function obey({ id, options }: DriverCommand): Promise<void> {
  try {
    answer({ kind: 'result', id, result: await runOpenLoop(options) })
  } catch (error) {
    answer({ kind: 'error', id, message: error instanceof Error ? error.message : String(error) })
  }
}

if (import.meta.main) {
  process.once('disconnect', () => process.exit())
  await warmUp(Number(process.argv[2] ?? 0))
  process.on('message', (command) => void obey(command as DriverCommand))
  answer({ kind: 'ready' })
}
